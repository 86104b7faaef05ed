#include "engine/models/preference.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/core/error.hpp"
#include "kernels/embedding/bag.hpp"

namespace sheaf {
namespace {

constexpr float kInitialDeviation = 0.1f;

HostCsr make_item_bags(const Catalog& catalog, bool item_features) {
  HostCsr bags;
  int32_t first_row = static_cast<int32_t>(catalog.n_items);
  std::vector<int32_t> field_rows;
  if (item_features) {
    for (const ItemField& field : catalog.fields) {
      field_rows.push_back(first_row);
      first_row += field.n_values;
    }
  }
  bags.n_columns = first_row;
  for (int64_t i = 0; i < catalog.n_items; ++i) {
    bags.columns.push_back(static_cast<int32_t>(i));
    for (size_t f = 0; f < field_rows.size(); ++f) {
      bags.columns.push_back(field_rows[f] + catalog.fields[f].codes[static_cast<size_t>(i)]);
    }
    bags.row_offsets.push_back(bags.nnz());
  }
  return bags;
}

/// The newest `length` purchases of each user.
History newest(const History& history, int64_t n_users, int64_t length) {
  History kept;
  for (int64_t u = 0; u < n_users; ++u) {
    if (u < history.n_users()) {
      const int64_t end = history.offsets[static_cast<size_t>(u) + 1];
      const int64_t begin = end - std::min(length, history.length(u));
      kept.items.insert(kept.items.end(), history.items.begin() + begin, history.items.begin() + end);
    }
    kept.offsets.push_back(std::ssize(kept.items));
  }
  return kept;
}

}  // namespace

const char* to_string(PreferenceKind kind) {
  switch (kind) {
    case PreferenceKind::additive: return "additive";
    case PreferenceKind::factorization: return "factorization";
    case PreferenceKind::transformer: return "transformer";
  }
  return "";
}

PreferenceKind parse_preference(const std::string& text) {
  for (const auto kind : {PreferenceKind::additive, PreferenceKind::factorization, PreferenceKind::transformer}) {
    if (text == to_string(kind)) return kind;
  }
  throw UsageError("unknown preference model '" + text + "'", "use additive, factorization or transformer");
}

PreferenceModel::PreferenceModel(Context& context, PreferenceKind kind, int64_t n_users, int64_t dim, HostCsr item_bags,
                                 const TransformerShape& shape)
    : user_table(make_parameter(context, "user_table", kind == PreferenceKind::transformer ? 0 : n_users, dim)),
      item_table(make_parameter(context, "item_table", item_bags.n_columns, dim)),
      user_bias(make_parameter(context, "user_bias", kind == PreferenceKind::factorization ? n_users : 0, 1)),
      item_bias(make_parameter(context, "item_bias", kind == PreferenceKind::additive ? 0 : item_bags.n_columns, 1)),
      w_user(make_parameter(context, "w_user", kind == PreferenceKind::additive ? 1 : 0, dim)),
      w_item(make_parameter(context, "w_item", kind == PreferenceKind::additive ? 1 : 0, dim)),
      bias(make_parameter(context, "bias", 1, 1)),
      transformer(kind == PreferenceKind::transformer ? std::make_unique<Transformer>(context, shape, dim) : nullptr),
      kind_(kind),
      n_users_(n_users),
      n_items_(item_bags.n_rows()),
      dim_(dim),
      host_item_bags_(std::move(item_bags)),
      user_rows_(context, identity_csr(n_users)),
      item_bags_(context, host_item_bags_) {
  for (int64_t i = 0; i < n_items_; ++i) {
    max_item_bag_ = std::max(max_item_bag_, static_cast<int64_t>(host_item_bags_.row(i).size()));
  }
}

PreferenceModel::PreferenceModel(Context& context, PreferenceKind kind, int64_t n_users, int64_t dim,
                                 const Catalog& catalog, bool item_features, uint64_t seed,
                                 const TransformerShape& shape, const History& history)
    : PreferenceModel(context, kind, n_users, dim, make_item_bags(catalog, item_features), shape) {
  if (n_users <= 0 || n_items_ <= 0 || dim <= 0) {
    throw DataError("a preference model needs at least one user, one item and one dimension (users " +
                        std::to_string(n_users) + ", items " + std::to_string(n_items_) + ", dim " +
                        std::to_string(dim) + ")",
                    "check the cleaning report of the import: it may have dropped everything");
  }
  uint32_t table = 0;
  for (Parameter* parameter : {&user_table, &item_table, &w_user, &w_item}) {
    parameter->value.assign(normal_values(parameter->rows, parameter->cols, seed, table++, kInitialDeviation));
  }
  if (!transformer) return;
  if (shape.user_rows != 0 && shape.user_rows != n_users) {
    throw UsageError(
        "a user table of " + std::to_string(shape.user_rows) + " rows for " + std::to_string(n_users) + " users",
        "give every user a row, or none");
  }
  transformer->initialise(seed, table);
  history_ = newest(history, n_users, shape.max_length);
}

PreferenceModel::PreferenceModel(Context& context, const PreferenceState& state)
    : PreferenceModel(context, state.kind, state.n_users, state.dim, state.item_bags, state.transformer) {
  for (Parameter* parameter : parameters()) {
    const auto table = std::find_if(state.tables.begin(), state.tables.end(),
                                    [&](const PreferenceState::Table& t) { return t.name == parameter->name; });
    if (table == state.tables.end() || table->rows != parameter->rows || table->cols != parameter->cols) {
      throw DataError("the model's parameter '" + parameter->name + "' is missing or has another shape",
                      "train it again");
    }
    parameter->value.assign(table->values);
  }
  calibration_ = state.calibration;
  if (transformer) history_ = newest(state.history, n_users_, state.transformer.max_length);
}

std::vector<Parameter*> PreferenceModel::parameters() {
  if (kind_ == PreferenceKind::additive) return {&user_table, &item_table, &w_user, &w_item, &bias};
  if (transformer) {
    std::vector<Parameter*> all{&item_table, &item_bias, &bias};
    for (Parameter& p : transformer->parameters()) all.push_back(&p);
    return all;
  }
  return {&user_table, &item_table, &user_bias, &item_bias, &bias};
}

std::vector<const Parameter*> PreferenceModel::parameters() const {
  const auto list = const_cast<PreferenceModel*>(this)->parameters();
  return {list.begin(), list.end()};
}

Buffer<float> PreferenceModel::item_vectors(Context& context) const {
  Buffer<float> vectors(context, n_items_ * dim_);
  const Buffer<int32_t> ids = all_ids(context, n_items_);
  embedding::bag(context, {item_table.matrix(), item_bags(), ids.view(), vectors.matrix(n_items_, dim_)});
  return vectors;
}

Buffer<float> PreferenceModel::user_vectors(Context& context) const {
  if (transformer) return transformer->last_states(context, history_, item_vectors(context));
  return Buffer<float>(context, user_table.value.to_host());
}

LinearScorer PreferenceModel::scorer(Context& context) const {
  LinearScorer scorer;
  scorer.n_users = n_users_;
  scorer.n_items = n_items_;
  scorer.calibration = calibration_;
  scorer.bias = Buffer<float>(context, bias.value.to_host());
  if (kind_ != PreferenceKind::additive) {
    scorer.dim = dim_;
    scorer.users = user_vectors(context);
    scorer.items = item_vectors(context);
    scorer.user_bias =
        transformer ? Buffer<float>::zeros(context, n_users_) : Buffer<float>(context, user_bias.value.to_host());
    scorer.item_bias = Buffer<float>(context, n_items_);
    const Buffer<int32_t> ids = all_ids(context, n_items_);
    embedding::bag(context, {item_bias.matrix(), item_bags(), ids.view(), scorer.item_bias.matrix(n_items_, 1)});
    return scorer;
  }
  // The additive model has no interaction: its terms are the biases of a factorization of one zero dimension.
  scorer.dim = 1;
  scorer.users = Buffer<float>::zeros(context, n_users_);
  scorer.items = Buffer<float>::zeros(context, n_items_);
  const auto project = [&](const std::vector<float>& vectors, const std::vector<float>& weights, int64_t n) {
    std::vector<float> terms(static_cast<size_t>(n));
    for (int64_t r = 0; r < n; ++r) {
      double sum = 0;
      for (int64_t c = 0; c < dim_; ++c) {
        sum += static_cast<double>(vectors[static_cast<size_t>(r * dim_ + c)]) * weights[static_cast<size_t>(c)];
      }
      terms[static_cast<size_t>(r)] = static_cast<float>(sum);
    }
    return terms;
  };
  scorer.user_bias = Buffer<float>(context, project(user_table.value.to_host(), w_user.value.to_host(), n_users_));
  scorer.item_bias = Buffer<float>(context, project(item_vectors(context).to_host(), w_item.value.to_host(), n_items_));
  return scorer;
}

PreferenceState PreferenceModel::state() const {
  PreferenceState state{kind_, n_users_, n_items_, dim_, host_item_bags_, {}, calibration_, {}, history_};
  if (transformer) state.transformer = transformer->shape();
  for (const Parameter* p : parameters()) state.tables.push_back({p->name, p->rows, p->cols, p->value.to_host()});
  return state;
}

}  // namespace sheaf
