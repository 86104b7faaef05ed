#pragma once
/// What the models over a user's purchases in their order share: tables of items, a network that makes a state of the
/// newest purchases (engine/layers/sequence_network.hpp), and the training of both (engine/models/sequence_epoch.hpp):
///
///   logit(u, i) = h_u . e_i + b_i + b     h_u: the state after the user's last purchase

#include <memory>
#include <optional>
#include <vector>

#include "engine/layers/sequence_network.hpp"
#include "engine/models/recommender.hpp"
#include "engine/train/pair_tables.hpp"
#include "engine/train/train_settings.hpp"

namespace sheaf {

/// A model has its settings and makes its network; the rest is here.
class SequenceModel : public Recommender {
 public:
  std::vector<SettingGroup> settings() override;
  FitReport fit(Context& context, const TrainData& data, const FitOptions& options) override;
  std::unique_ptr<Scorer> scorer(Context& context) const override;
  std::vector<NamedTensor> tensors() const override;
  void restore(Context& context, const Tensors& tensors) override;
  Vectors item_vectors(Context& context) const override;
  Vectors user_vectors(Context& context) const override;

 protected:
  /// The settings of its network; those of the training follow them in the model's section.
  virtual std::vector<Setting> network_settings() = 0;
  /// Of the settings, with `user_rows` rows in the user table. UsageError for settings that do not fit each other.
  virtual std::shared_ptr<SequenceNetwork> make_network(Context& context, int64_t dim, int64_t user_rows) const = 0;
  /// DataError where the tensors of a saved model are not as large as the settings say: before a network of that size
  /// is made.
  virtual void check_sizes(const Tensors& tensors, int64_t dim) const = 0;

  int64_t max_length() const { return max_length_; }

  double dropout_ = 0.2;  // how it is used depends on the network, and so its description

 private:
  void make(Context& context, int64_t dim, HostCsr item_bags);

  TrainSettings training_;
  int64_t max_length_ = 256, horizon_ = 100, batch_ = 64, negatives_ = 1024;
  bool user_vectors_ = true;

  mutable std::optional<PairTables> tables_;
  std::shared_ptr<SequenceNetwork> network_;  // shared with scorers, which encode people that the model never saw
  History history_;
};

}  // namespace sheaf
