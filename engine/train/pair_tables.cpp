#include "engine/train/pair_tables.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/data/item_features.hpp"
#include "kernels/core/error.hpp"
#include "kernels/dense/linear.hpp"
#include "kernels/dense/scaled_add.hpp"

namespace sheaf {
namespace {

constexpr float kInitialDeviation = 0.1f;

/// [n] of each row: w . row
Buffer<float> projected(Context& context, const Buffer<float>& rows, int64_t n, const Parameter& weights) {
  Buffer<float> terms(context, n);
  const Buffer<float> zero = Buffer<float>::zeros(context, 1);
  dense::linear(
      context,
      {.x = rows.matrix(n, weights.cols), .weight = weights.matrix(), .bias = zero.view(), .out = terms.matrix(n, 1)});
  return terms;
}

}  // namespace

HostCsr make_item_bags(const Catalog& catalog, bool item_features) {
  if (!item_features) return identity_csr(catalog.n_items);
  const HostCsr features = feature_matrix(catalog);
  HostCsr bags;
  bags.n_columns = catalog.n_items + features.n_columns;
  for (int64_t i = 0; i < catalog.n_items; ++i) {
    bags.columns.push_back(static_cast<int32_t>(i));
    if (!features.values.empty()) bags.values.push_back(1.0f);
    for (auto e = features.row_offsets[static_cast<size_t>(i)]; e < features.row_offsets[static_cast<size_t>(i) + 1];
         ++e) {
      const auto at = static_cast<size_t>(e);
      bags.columns.push_back(static_cast<int32_t>(catalog.n_items) + features.columns[at]);
      if (!features.values.empty()) bags.values.push_back(features.values[at]);
    }
    bags.row_offsets.push_back(bags.nnz());
  }
  return bags;
}

PairTables::PairTables(Context& context, PairForm form, int64_t n_users, int64_t dim, HostCsr item_bags)
    : user_table(make_parameter(context, "user_table", form == PairForm::items ? 0 : n_users, dim)),
      item_table(make_parameter(context, "item_table", item_bags.n_columns, dim)),
      user_bias(make_parameter(context, "user_bias", form == PairForm::dot ? n_users : 0, 1)),
      item_bias(make_parameter(context, "item_bias", form == PairForm::sum ? 0 : item_bags.n_columns, 1, false)),
      w_user(make_parameter(context, "w_user", form == PairForm::sum ? 1 : 0, dim)),
      w_item(make_parameter(context, "w_item", form == PairForm::sum ? 1 : 0, dim)),
      bias(make_parameter(context, "bias", 1, 1)),
      form_(form),
      n_users_(n_users),
      n_items_(item_bags.n_rows()),
      dim_(dim),
      host_item_bags_(std::move(item_bags)),
      user_rows_(context, identity_csr(n_users)),
      item_bags_(context, host_item_bags_) {
  if (n_users <= 0 || n_items_ <= 0 || dim <= 0) {
    throw DataError("a preference model needs at least one user, one item and one dimension (users " +
                        std::to_string(n_users) + ", items " + std::to_string(n_items_) + ", dim " +
                        std::to_string(dim) + ")",
                    "check the cleaning report of the import: it may have dropped everything");
  }
}

uint32_t PairTables::initialise(uint64_t seed) {
  uint32_t table = 0;
  for (Parameter* parameter : {&user_table, &item_table, &w_user, &w_item}) {
    parameter->value.assign(normal_values(parameter->rows, parameter->cols, seed, table++, kInitialDeviation));
  }
  if (!attributes) return table;
  Initialiser from{seed, table};
  attributes->initialise(from);
  return from.next_table;
}

std::vector<Parameter*> PairTables::parameters() {
  if (form_ == PairForm::sum) return {&user_table, &item_table, &w_user, &w_item, &bias};
  if (form_ == PairForm::items) return {&item_table, &item_bias, &bias};
  std::vector<Parameter*> all{&user_table, &item_table, &user_bias, &item_bias, &bias};
  if (!attributes) return all;
  for (Parameter* p : attributes->parameters()) all.push_back(p);
  return all;
}

Buffer<float> PairTables::item_vectors(Context& context) const {
  Buffer<float> vectors = bag_vectors(context);
  if (!attributes) return vectors;
  ScratchScope scratch(context);
  Pass pass(context, scratch);
  const MatrixView<float> told = pass.take(n_items_, dim_);
  attributes->forward(pass, told);
  dense::scaled_add(context, {.x = told, .out = vectors.matrix(n_items_, dim_)});
  return vectors;
}

Buffer<float> PairTables::bag_vectors(Context& context) const {
  Buffer<float> vectors(context, n_items_ * dim_);
  item_bags_.forward(context, item_table.matrix(), vectors.matrix(n_items_, dim_));
  return vectors;
}

Buffer<float> PairTables::item_biases(Context& context) const {
  Buffer<float> biases(context, n_items_);
  item_bags_.forward(context, item_bias.matrix(), biases.matrix(n_items_, 1));
  return biases;
}

LinearParts linear_parts(Context& context, const PairTables& tables) {
  LinearParts parts{.n_users = tables.n_users(), .n_items = tables.n_items(), .dim = tables.dim()};
  parts.bias = copy_of(context, tables.bias.value);
  if (tables.form() == PairForm::dot) {
    parts.users = copy_of(context, tables.user_table.value);
    parts.items = tables.item_vectors(context);
    parts.user_bias = copy_of(context, tables.user_bias.value);
    parts.item_bias = tables.item_biases(context);
    return parts;
  }
  // A factorization of one dimension that is 0, whose biases are the terms.
  parts.dim = 1;
  parts.users = Buffer<float>::zeros(context, tables.n_users());
  parts.items = Buffer<float>::zeros(context, tables.n_items());
  parts.user_bias = projected(context, tables.user_table.value, tables.n_users(), tables.w_user);
  parts.item_bias = projected(context, tables.item_vectors(context), tables.n_items(), tables.w_item);
  return parts;
}

}  // namespace sheaf
