#pragma once
/// What the factorization and the additive model share: tables of users and items. They learn from sampled pairs or
/// against the whole catalog.

#include <optional>
#include <vector>

#include "engine/models/attribute_settings.hpp"
#include "engine/models/recommender.hpp"
#include "engine/train/pair_tables.hpp"

namespace sheaf {

class PairModel : public Recommender {
 public:
  PairModel(PairForm form, std::vector<LossKind> losses) : form_(form), losses_(std::move(losses)) {}

  std::vector<SettingGroup> settings() override { return {training_.describe()}; }
  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override;
  std::vector<NamedTensor> tensors() const override;
  void restore(Context& context, const Tensors& tensors) override;
  Vectors item_vectors(Context& context) const override;
  Vectors user_vectors(Context& context) const override;

 protected:
  /// UsageError before the model is fitted or restored.
  const PairTables& tables() const;

  AttributeSettings attributes_;  // of a model that lists them; read for the form dot

 private:
  PairForm form_;
  std::vector<LossKind> losses_;
  TrainSettings training_;
  std::optional<PairTables> tables_;
};

/// Parameters and item bags as tensors and back; `tables` has the shapes of the settings.
void add_tables(std::vector<NamedTensor>& tensors, PairTables& tables);
void restore_tables(const Tensors& tensors, PairTables& tables);
/// The item bags of a saved model, and its dim.
HostCsr restored_bags(const Tensors& tensors, int64_t n_items);
/// After the training: the own rows of items that nobody bought, so that the sums of their bags are what their features
/// say of the sums of others (engine/models/cold_items.hpp). What a convolution says of their attributes is beside it.
void describe_cold_items(Context& context, const TrainData& data, const FitOptions& options, PairTables& tables);
/// The report of training with drawn batches: what validation chose is the number of epochs.
FitReport with_epochs(TrainReport report, const TrainParams& params);
/// What the options of a fit say to its training: seed, judging, where states are kept, and the epochs if they were
/// chosen before.
void take_options(const FitOptions& options, TrainParams& params);
/// Tells options.on_note of long epochs of the softmax over the whole catalog, and that the loss `faster` has shorter
/// ones.
void note_long_epoch(const FitOptions& options, int64_t n_users, int64_t n_items, LossKind faster, TrainParams& params);

}  // namespace sheaf
