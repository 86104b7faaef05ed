#pragma once
/// The section [attribute_convolution]: what a factorization adds to an item's vector for the attributes of the item
/// together (engine/layers/attribute_convolution.hpp).

#include <optional>
#include <string>
#include <vector>

#include "engine/data/settings.hpp"
#include "engine/models/tensors.hpp"
#include "engine/train/pair_tables.hpp"
#include "engine/train/train_settings.hpp"

namespace sheaf {

struct AttributeSettings {
  std::string widths = "none";
  int64_t filters = 32;
  int64_t channels = 16;
  std::string pooling = "max";

  SettingGroup describe();
  /// None where `widths` are. UsageError for widths that are no list or longer than the items' sequences, and for
  /// another loss than the softmax over the whole catalog.
  std::optional<AttributeConvolution> make(Context& context, const Catalog& catalog, int64_t dim, LossKind loss) const;
};

/// Its shape and its attributes as tensors, beside the parameters, which PairTables list; and back.
void add_attributes(std::vector<NamedTensor>& tensors, const PairTables& tables);
/// None where the model was saved without. DataError for tensors that do not fit each other.
std::optional<AttributeConvolution> restored_attributes(Context& context, const Tensors& tensors, int64_t n_items,
                                                        int64_t dim);

}  // namespace sheaf
