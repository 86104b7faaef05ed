#include "host/data/item_facts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

namespace sheaf::data {
namespace {

/// Row of each item in the side table; -1 where it has none.
std::vector<int64_t> find_in_table(const ItemTable* table, const Prepared& prepared) {
  std::vector<int64_t> found(static_cast<size_t>(prepared.n_items), -1);
  for (int64_t item = 0; table != nullptr && item < prepared.n_items; ++item) {
    found[static_cast<size_t>(item)] = table->find(prepared.item_ids[item]);
  }
  return found;
}

/// For each item the most frequent non-empty value of its rows (among equals the earliest in the file); empty if it has
/// none.
std::vector<std::string> values_of_rows(const StringEncoder& values, const std::vector<int32_t>& codes,
                                        const std::vector<int64_t>& kept, const Prepared& prepared) {
  std::vector<uint64_t> pairs;
  for (size_t i = 0; i < kept.size(); ++i) {
    const int32_t code = codes[static_cast<size_t>(kept[i])];
    if (code >= 0 && !values.strings()[static_cast<size_t>(code)].empty()) {
      pairs.push_back(code_pair(prepared.item[i], code));
    }
  }
  std::vector<std::string> chosen;
  for (const int32_t code : most_frequent(std::move(pairs), prepared.n_items)) {
    chosen.emplace_back(code < 0 ? std::string_view() : values.strings()[static_cast<size_t>(code)]);
  }
  return chosen;
}

std::vector<std::string> values_of_table(const ItemTable& table, const std::vector<int64_t>& at,
                                         const std::string& column) {
  std::vector<std::string> values;
  for (const int64_t row : at) values.emplace_back(row < 0 ? std::string_view() : table.value(column, row));
  return values;
}

CategoricalField encode_field(std::string name, std::vector<std::string> values) {
  StringEncoder encoder;
  std::vector<int32_t> codes;
  for (std::string& value : values) {
    if (value.empty()) value = kNoValue;
    codes.push_back(encoder.encode(value));
  }
  SortedCodes sorted = sort_codes(encoder.strings(), std::vector<uint8_t>(encoder.strings().size(), 1));
  for (int32_t& code : codes) code = sorted.new_of[static_cast<size_t>(code)];
  return {std::move(name), std::move(codes), std::move(sorted.strings)};
}

void fill_names(const Rows& rows, const ItemTable* table, const std::vector<int64_t>& at,
                const std::vector<int64_t>& kept, Prepared& prepared) {
  const std::vector<std::string> from_rows = values_of_rows(rows.names, rows.name, kept, prepared);
  for (int64_t item = 0; item < prepared.n_items; ++item) {
    const int64_t row = at[static_cast<size_t>(item)];
    std::string name = row < 0 ? std::string() : table->name(row);
    if (name.empty()) name = text::trim(from_rows[static_cast<size_t>(item)]);
    if (name.empty()) name = prepared.item_ids[item];
    prepared.item_names.push_back(name);
  }
}

/// Of the side table, of the rows, or by the words of the names, which are there already.
CategoricalField category_field(const Rows& rows, const ItemTable* table, const ImportConfig& config,
                                const std::vector<int64_t>& at, const std::vector<int64_t>& kept,
                                const Prepared& prepared) {
  if (!config.categories.rules.empty()) {
    const CategoryRules rules(config.categories.rules, config.categories.other);
    std::vector<std::string> values;
    for (int64_t item = 0; item < prepared.n_items; ++item) {
      values.push_back(rules.category_of(prepared.item_names[item]));
    }
    return encode_field("category", std::move(values));
  }
  if (!config.items.category.empty()) {
    return encode_field(config.items.category, values_of_table(*table, at, config.items.category));
  }
  return encode_field(config.columns.category, values_of_rows(rows.categories, rows.category, kept, prepared));
}

void fill_categories(const Rows& rows, const ItemTable* table, const ImportConfig& config,
                     const std::vector<int64_t>& at, const std::vector<int64_t>& kept, Prepared& prepared) {
  CategoricalField category = category_field(rows, table, config, at, kept, prepared);
  prepared.item_category = category.codes;
  prepared.category_names = category.values;
  for (const std::string& column : config.items.categorical) {
    prepared.categorical.push_back(encode_field(column, values_of_table(*table, at, column)));
  }
  if (config.items.categorical.empty() && !category.name.empty()) prepared.categorical.push_back(std::move(category));
}

/// The middle value; the mean of the two middle ones of an even number. Disorders `values`, which must not be empty.
float median(std::vector<float>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return 0.5f * (*middle + *std::max_element(values.begin(), middle));
}

void fill_prices(Prepared& prepared) {
  const auto n = static_cast<size_t>(prepared.n_items);
  std::vector<std::vector<float>> in_train(n), anywhere(n);
  for (size_t i = 0; i < prepared.item.size(); ++i) {
    const auto item = static_cast<size_t>(prepared.item[i]);
    const float full = prepared.price[i] + prepared.discount[i] / prepared.quantity[i];
    (prepared.split[i] == kTrain ? in_train : anywhere)[item].push_back(full);
  }
  for (size_t item = 0; item < n; ++item) {
    prepared.item_price.push_back(median(in_train[item].empty() ? anywhere[item] : in_train[item]));
  }
}

/// Standardises one feature over the items seen in train and appends it as column `feature`.
void add_numeric(const std::string& name, const std::vector<double>& values, const std::vector<uint8_t>& in_train,
                 size_t feature, size_t n_features, Prepared& prepared) {
  double sum = 0.0, squares = 0.0;
  int64_t count = 0;
  const auto counts = [&](size_t item) { return in_train[item] != 0 && !std::isnan(values[item]); };
  for (size_t item = 0; item < values.size(); ++item) {
    if (!counts(item)) continue;
    sum += values[item];
    ++count;
  }
  const double mean = count == 0 ? 0.0 : sum / static_cast<double>(count);
  for (size_t item = 0; item < values.size(); ++item) {
    if (counts(item)) squares += (values[item] - mean) * (values[item] - mean);
  }
  const double spread = count == 0 ? 0.0 : std::sqrt(squares / static_cast<double>(count));
  const double deviation = spread > 0.0 ? spread : 1.0;
  prepared.numeric_names.push_back(name);
  prepared.numeric_mean.push_back(static_cast<float>(mean));
  prepared.numeric_deviation.push_back(static_cast<float>(deviation));
  for (size_t item = 0; item < values.size(); ++item) {
    const double z = std::isnan(values[item]) ? 0.0 : (values[item] - mean) / deviation;
    prepared.item_numeric[item * n_features + feature] = static_cast<float>(z);
  }
}

void fill_numbers(const ItemTable* table, const ImportConfig& config, const std::vector<int64_t>& at,
                  Prepared& prepared) {
  const auto n = static_cast<size_t>(prepared.n_items);
  std::vector<uint8_t> in_train(n, 0);
  for (size_t i = 0; i < prepared.item.size(); ++i) {
    if (prepared.split[i] == kTrain) in_train[static_cast<size_t>(prepared.item[i])] = 1;
  }
  const size_t n_features = 1 + config.items.numeric.size();
  prepared.item_numeric.assign(n * n_features, 0.0f);
  std::vector<double> values(n);
  for (size_t item = 0; item < n; ++item) values[item] = std::log1p(std::max(0.0f, prepared.item_price[item]));
  add_numeric("log_price", values, in_train, 0, n_features, prepared);
  for (size_t f = 0; f < config.items.numeric.size(); ++f) {
    for (size_t item = 0; item < n; ++item) {
      values[item] =
          at[item] < 0 ? std::numeric_limits<double>::quiet_NaN() : table->number(config.items.numeric[f], at[item]);
    }
    add_numeric(config.items.numeric[f], values, in_train, f + 1, n_features, prepared);
  }
}

}  // namespace

void fill_item_facts(const Rows& rows, const ItemTable* table, const ImportConfig& config,
                     const std::vector<int64_t>& kept, Prepared& prepared) {
  const std::vector<int64_t> at = find_in_table(table, prepared);
  fill_names(rows, table, at, kept, prepared);
  fill_categories(rows, table, config, at, kept, prepared);
  fill_prices(prepared);
  fill_numbers(table, config, at, prepared);
}

}  // namespace sheaf::data
