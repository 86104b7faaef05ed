#pragma once
/// One run on one data set: the settings, the data, the model, and what is made of them. Each is made once, when it is
/// first asked for.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "engine/associate/association.hpp"
#include "engine/models/recommender.hpp"
#include "host/app/dataset.hpp"
#include "host/app/price_response.hpp"
#include "host/app/substitutes.hpp"
#include "host/config/config.hpp"

namespace sheaf::app {

struct JointModel;

class Session {
 public:
  /// `context` outlives the session. UsageError for a setting that the data gives no meaning (needed_data.hpp).
  Session(Context& context, const config::Config& config, data::Prepared prepared_set);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Context& context() const { return context_; }
  const config::Config& config() const { return config_; }

  /// A line for people, such as what was left out; said once however often it comes. Empty ones are not said.
  void note(const std::string& line) const;
  /// Takes the lines; none by default.
  std::function<void(const std::string&)> on_note;

  const data::Prepared prepared;
  const Catalog catalog;
  const Purchases purchases;

  /// Forgets what was made of an earlier model.
  void set_model(std::unique_ptr<Recommender> model);
  /// Whether the model was fitted to rows of the validation period, too.
  bool knows_validation = false;
  bool has_model() const { return model_ != nullptr; }
  /// UsageError without one.
  const Recommender& model() const;
  Recommender& model();
  /// Of the model, with its calibration.
  const Scorer& scorer() const;
  /// The model's vectors of items; empty for a model that has none.
  const Vectors& item_vectors() const;
  /// The vectors that `by` compares: for cosine the model's, for gcn the same after associate.layers steps over the
  /// graph of training purchases. UsageError for a model that has none, DataError that names the first item whose
  /// vector is not finite.
  const Vectors& learned_vectors(const std::string& by) const;
  /// associate.by, or count-cosine where that asks for learned vectors and the model has none.
  std::string association_by() const;
  /// Pairs of at least associate.min_count training baskets.
  const PairCounts& pair_counts() const;
  const PriceResponses& price_responses() const;
  /// Substitutes and complements.
  const PairRelations& relations() const;
  const HostCsr& substitutes() const;
  /// Chances of coming baskets by search.history.
  const JointModel& joint() const;

  /// How often each was made, for tests.
  struct Made {
    int scorers = 0, item_vectors = 0, graph_vectors = 0, pair_counts = 0, joint_models = 0;
  };
  const Made& made() const { return made_; }

 private:
  Context& context_;
  config::Config config_;
  std::unique_ptr<Recommender> model_;
  mutable std::unique_ptr<Scorer> scorer_;
  mutable std::optional<Vectors> item_vectors_, graph_vectors_;
  mutable bool vectors_checked_ = false;
  mutable std::optional<PairCounts> pair_counts_;
  mutable std::optional<PriceResponses> responses_;
  mutable std::optional<PairRelations> relations_;
  mutable std::optional<HostCsr> substitutes_;
  mutable std::unique_ptr<JointModel> joint_;
  mutable Made made_;
  mutable std::set<std::string> notes_;
};

/// A number that tells apart sets of other users or items (FNV-1a over all ids), as 16 hex digits.
std::string fingerprint(const data::Prepared& prepared);

/// UsageError unless the model was trained on the same users and items; `trained_on` is the fingerprint of its data.
void check_fits(const Recommender& model, const std::string& trained_on, const data::Prepared& prepared);

}  // namespace sheaf::app
