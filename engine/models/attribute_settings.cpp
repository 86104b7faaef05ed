#include "engine/models/attribute_settings.hpp"

#include <algorithm>

#include "engine/data/item_features.hpp"
#include "engine/models/widths.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr const char* kWidthsSetting = "attribute_convolution.widths";
constexpr const char* kShapeTensor = "attribute_shape";  // i64: attributes an item, 1 for max or 0, widths
constexpr const char* kAttributesTensor = "item_attributes";
constexpr int64_t kMaxAttributes = 1 << 20;  // of a saved item, far beyond any catalog

std::vector<int64_t> checked_widths(const std::string& text, int64_t length) {
  std::vector<int64_t> widths = parse_widths(kWidthsSetting, text, true, '+');
  for (const int64_t width : widths) {
    if (std::ranges::count(widths, width) > 1) {
      throw UsageError(std::string(kWidthsSetting) + " = '" + text + "' names " + std::to_string(width) + " twice",
                       "name each width once");
    }
    if (width > length) {
      throw UsageError(std::string(kWidthsSetting) + " = '" + text + "' has a width of " + std::to_string(width) +
                           ", and the items have " + std::to_string(length) + " attributes",
                       length > 0 ? "take widths up to " + std::to_string(length)
                                  : "import categorical or numeric columns of the items, or take none");
    }
  }
  return widths;
}

}  // namespace

SettingGroup AttributeSettings::describe() {
  return {"attribute_convolution",
          {{"widths",
            "factorization, softmax: an item's vector gets what filters over so many neighbouring attributes say, as "
            "2+3; none: nothing",
            &widths, std::vector<std::string>{}},
           {"filters", "of each width", &filters, 1, 4096},
           {"channels", "width of the vectors of attribute values", &channels, 1, 4096},
           {"pooling", "over the places of a filter", &pooling, {"max", "mean"}}}};
}

std::optional<AttributeConvolution> AttributeSettings::make(Context& context, const Catalog& catalog, int64_t dim,
                                                            LossKind loss) const {
  const int64_t length = std::ssize(catalog.fields) + catalog.numbers.n;
  std::vector<int64_t> own = checked_widths(widths, length);
  if (own.empty()) return std::nullopt;
  if (loss != LossKind::softmax) {
    throw UsageError(std::string(kWidthsSetting) + " = '" + widths +
                         "' does not go with model.loss = " + std::string(to_string(loss)),
                     "take model.loss = softmax, or no widths");
  }
  return AttributeConvolution(
      context, attribute_sequences(catalog), catalog.n_items,
      {.channels = channels,
       .widths = std::move(own),
       .filters = filters,
       .pooling = pooling == "max" ? dense::ConvolutionPooling::max : dense::ConvolutionPooling::mean},
      dim, true);
}

void add_attributes(std::vector<NamedTensor>& tensors, const PairTables& tables) {
  if (!tables.attributes) return;
  const AttributeConvolution& of = *tables.attributes;
  std::vector<int64_t> shape{of.length(), of.shape().pooling == dense::ConvolutionPooling::max ? 1 : 0};
  shape.insert(shape.end(), of.shape().widths.begin(), of.shape().widths.end());
  tensors.push_back({kShapeTensor, {std::ssize(shape)}, shape});
  add_csr(tensors, kAttributesTensor, of.attributes());
}

std::optional<AttributeConvolution> restored_attributes(Context& context, const Tensors& tensors, int64_t n_items,
                                                        int64_t dim) {
  if (!tensors.has(kShapeTensor)) return std::nullopt;
  const std::vector<int64_t>& saved = tensors.vector<int64_t>(kShapeTensor, -1);
  const std::vector<int64_t> widths(saved.begin() + std::min<int64_t>(2, std::ssize(saved)), saved.end());
  const auto fits = [&](int64_t width) {
    return width >= 1 && width <= saved[0] && std::ranges::count(widths, width) == 1;
  };
  if (widths.empty() || saved[0] > kMaxAttributes || !std::ranges::all_of(widths, fits)) {
    throw_bad_tensor(kShapeTensor, "is no convolution");
  }
  const auto [n_values, channels] = tensors.matrix_shape("attribute_table");
  const int64_t filters = tensors.matrix_shape("attribute_filters_" + std::to_string(widths[0])).first;
  if (channels < 1 || filters < 1) throw_bad_tensor("attribute_table", "or its filters are empty");
  return AttributeConvolution(
      context, tensors.csr(kAttributesTensor, n_items * saved[0], n_values), n_items,
      {.channels = channels,
       .widths = widths,
       .filters = filters,
       .pooling = saved[1] == 1 ? dense::ConvolutionPooling::max : dense::ConvolutionPooling::mean},
      dim, false);
}

}  // namespace sheaf
