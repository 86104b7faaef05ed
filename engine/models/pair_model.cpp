#include "engine/models/pair_model.hpp"

#include <fmt/format.h>

#include <utility>

#include "engine/models/cold_items.hpp"
#include "engine/train/sampled_epoch.hpp"
#include "engine/train/softmax_epoch.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr const char* kDecayPrefix = "decay_after.";

}  // namespace

FitReport with_epochs(TrainReport report, const TrainParams& params) {
  FitReport fitted{std::move(report), {}};
  for (const double epoch : params.rule.schedule.decays(fitted)) {
    fitted.chosen[kDecayPrefix + std::to_string(fitted.chosen.size())] = epoch;
  }
  fitted.chosen["epochs"] = static_cast<double>(fitted.best_epoch);
  return fitted;
}

void take_options(const FitOptions& options, TrainParams& params) {
  params.seed = options.seed;
  params.mask_seen = options.mask_seen;
  params.validation_k = options.validation_k;
  params.checkpoints = options.checkpoints;
  const auto epochs = options.chosen.find("epochs");
  if (epochs == options.chosen.end()) return;
  params.epochs = static_cast<int64_t>(epochs->second);
  for (const auto& [name, epoch] : options.chosen) {
    if (name.starts_with(kDecayPrefix)) params.rule.schedule.given_decays.push_back(epoch);
  }
  params.patience = 0;
}

void note_long_epoch(const FitOptions& options, int64_t n_users, int64_t n_items, LossKind faster,
                     TrainParams& params) {
  if (!options.on_note) return;
  params.long_epoch = options.long_epoch;
  params.on_long_epoch = [=, note = options.on_note](double seconds) {
    note(
        fmt::format("an epoch of model.loss = softmax compares {} users with all {} items and takes about {:.0f} s; "
                    "model.loss = {} compares with a few drawn items and takes a fraction of it",
                    n_users, n_items, seconds, to_string(faster)));
  };
}

void add_tables(std::vector<NamedTensor>& tensors, PairTables& tables) {
  for (const Parameter* p : tables.parameters()) tensors.push_back({p->name, {p->rows, p->cols}, p->value.to_host()});
  add_csr(tensors, "item_bags", tables.host_item_bags());
}

void restore_tables(const Tensors& tensors, PairTables& tables) {
  for (Parameter* p : tables.parameters()) p->value.assign(tensors.matrix(p->name, p->rows, p->cols));
}

HostCsr restored_bags(const Tensors& tensors, int64_t n_items) {
  return tensors.csr("item_bags", n_items, tensors.matrix_shape("item_table").first);
}

void describe_cold_items(Context& context, const TrainData& data, const FitOptions& options, PairTables& tables) {
  ColdItems cold(context, data.catalog, data.purchases.train);
  if (cold.items().empty()) return;
  const auto set_own_rows = [&](Parameter& table, const Buffer<float>& sums, const auto& fill) {
    const std::vector<float> before = sums.to_host();
    std::vector<float> after = before, rows = table.value.to_host();
    fill(after);
    for (const int32_t i : cold.items()) {
      for (auto at = static_cast<size_t>(i * table.cols); at < static_cast<size_t>((i + 1) * table.cols); ++at) {
        rows[at] += after[at] - before[at];
      }
    }
    table.value.assign(rows);
  };
  set_own_rows(tables.item_table, tables.bag_vectors(context),
               [&](std::vector<float>& rows) { cold.fill(context, rows, tables.dim()); });
  if (tables.form() != PairForm::sum) {
    set_own_rows(tables.item_bias, tables.item_biases(context),
                 [&](std::vector<float>& biases) { cold.fill_bias(context, biases); });
  }
  cold.note(options.on_note);
}

FitReport PairModel::fit(Context& context, const TrainData& data, const FitOptions& options) {
  const LossKind loss = parse_loss(training_.loss, losses_, name());
  TrainParams params = train_params(training_, loss, loss == LossKind::softmax ? 0.02 : 0.003, 5);
  take_options(options, params);
  note_long_epoch(options, data.n_users, data.catalog.n_items, LossKind::bpr, params);
  set_size(data.n_users, data.catalog.n_items);
  tables_.emplace(context, form_, data.n_users, training_.dim, make_item_bags(data.catalog, training_.item_features));
  if (form_ == PairForm::dot) tables_->attributes = attributes_.make(context, data.catalog, training_.dim, loss);
  tables_->initialise(params.seed);
  const HostCsr& train_items = data.purchases.train;
  const auto make_epoch = [&] {
    return loss == LossKind::softmax ? make_softmax_epoch(context, *tables_, train_items, params)
                                     : make_sampled_epoch(context, *tables_, train_items, params);
  };
  const Trainable trainable{tables_->parameters(), [&] { return scorer(context); }};
  FitReport report = with_epochs(
      train(context, trainable, make_epoch, train_items, data.purchases.validation, params, options.on_epoch), params);
  describe_cold_items(context, data, options, *tables_);
  return report;
}

const PairTables& PairModel::tables() const {
  if (!tables_) throw UsageError("the model " + std::string(name()) + " is not fitted", "fit it first");
  return *tables_;
}

std::vector<NamedTensor> PairModel::tensors() const {
  std::vector<NamedTensor> tensors;
  add_tables(tensors, const_cast<PairTables&>(tables()));
  add_attributes(tensors, tables());
  return tensors;
}

void PairModel::restore(Context& context, const Tensors& tensors) {
  const int64_t dim = tensors.matrix_shape("item_table").second;
  HostCsr bags = restored_bags(tensors, n_items());
  if (form_ != PairForm::items) tensors.matrix("user_table", n_users(), dim);  // before tables of that size are made
  tables_.emplace(context, form_, n_users(), dim, std::move(bags));
  if (form_ == PairForm::dot) tables_->attributes = restored_attributes(context, tensors, n_items(), dim);
  restore_tables(tensors, *tables_);
}

Vectors PairModel::item_vectors(Context& context) const {
  return {n_items(), tables().dim(), tables().item_vectors(context)};
}

Vectors PairModel::user_vectors(Context& context) const {
  return {n_users(), tables().dim(), copy_of(context, tables().user_table.value)};
}

}  // namespace sheaf
