#include "host/app/session.hpp"

#include <fmt/format.h>

#include <utility>

#include "engine/associate/graph_vectors.hpp"
#include "host/app/joint.hpp"
#include "host/app/needed_data.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/range.hpp"

namespace sheaf::app {
namespace {

/// DataError that names the first item whose vector is not finite.
void check_item_vectors(const Session& session, const Vectors& vectors) {
  check_finite_rows(session.context(), vectors.matrix(), [&](int64_t item) {
    return fmt::format("item '{}' ({})", session.prepared.item_ids[item], session.prepared.item_names[item]);
  });
}

}  // namespace

Session::Session(Context& context, const config::Config& config, data::Prepared prepared_set)
    : prepared(std::move(prepared_set)),
      catalog(make_catalog(prepared)),
      purchases(make_purchases(prepared, config.model.recency_days)),
      context_(context),
      config_(config) {
  refuse_meaningless(prepared, config);
}

Session::~Session() = default;

void Session::note(const std::string& line) const {
  if (on_note && !line.empty() && notes_.insert(line).second) on_note(line);
}

void Session::set_model(std::unique_ptr<Recommender> model) {
  model_ = std::move(model);
  scorer_.reset();
  item_vectors_.reset();
  graph_vectors_.reset();
  vectors_checked_ = false;
  joint_.reset();
}

const Recommender& Session::model() const {
  if (model_ == nullptr) throw UsageError("this needs a model", "give --model, or train one first");
  return *model_;
}

Recommender& Session::model() { return const_cast<Recommender&>(std::as_const(*this).model()); }

const Scorer& Session::scorer() const {
  if (scorer_ == nullptr) {
    scorer_ = calibrated_scorer(context_, model());
    ++made_.scorers;
  }
  return *scorer_;
}

const Vectors& Session::item_vectors() const {
  if (!item_vectors_) {
    item_vectors_ = model().item_vectors(context_);
    ++made_.item_vectors;
  }
  return *item_vectors_;
}

const Vectors& Session::learned_vectors(const std::string& by) const {
  const Vectors& items = item_vectors();
  if (items.empty()) {
    throw UsageError(
        fmt::format("the model {} has no vectors of items to compare (associate.by = {})", model().name(), by),
        "take associate.by = count-cosine or another measure of counted baskets, or another model");
  }
  if (!vectors_checked_) check_item_vectors(*this, items);
  vectors_checked_ = true;
  if (by != "gcn") return items;
  if (!graph_vectors_) {
    const Vectors users = model().user_vectors(context_);
    graph_vectors_ =
        Vectors{items.n, items.dim,
                graph_vectors(context_, purchases.train, users.matrix(), items.matrix(), config_.associate.layers)};
    check_item_vectors(*this, *graph_vectors_);
    ++made_.graph_vectors;
  }
  return *graph_vectors_;
}

std::string Session::association_by() const {
  const std::string& by = config_.associate.by;
  const bool learned = by == "cosine" || by == "gcn";
  return learned && has_model() && item_vectors().empty() ? "count-cosine" : by;
}

const PairCounts& Session::pair_counts() const {
  if (!pair_counts_) {
    const Range range("associate");
    const int64_t min_count = config_.associate.min_count;
    pair_counts_ = count_pairs(
        context_, purchases.train_baskets, min_count,
        fmt::format("raise associate.min_count (now {}), or import fewer items (clean.min_item_users)", min_count));
    ++made_.pair_counts;
  }
  return *pair_counts_;
}

const PriceResponses& Session::price_responses() const {
  if (!responses_) responses_ = estimate_responses(prepared);
  return *responses_;
}

const PairRelations& Session::relations() const {
  if (!relations_) relations_ = relate_pairs(prepared, purchases);
  return *relations_;
}

const HostCsr& Session::substitutes() const {
  if (!substitutes_) substitutes_ = all_substitutes(relations(), prepared);
  return *substitutes_;
}

const JointModel& Session::joint() const {
  if (joint_ == nullptr) {
    joint_ = std::make_unique<JointModel>(make_joint_model(*this));
    ++made_.joint_models;
  }
  return *joint_;
}

std::string fingerprint(const data::Prepared& prepared) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&](const void* bytes, size_t n) {
    for (size_t b = 0; b < n; ++b) hash = (hash ^ static_cast<const unsigned char*>(bytes)[b]) * 0x100000001b3u;
  };
  for (const data::StringTable* ids : {&prepared.user_ids, &prepared.item_ids}) {
    add(ids->bytes.data(), ids->bytes.size());
    add(ids->offsets.data(), ids->offsets.size() * sizeof(ids->offsets[0]));
  }
  return fmt::format("{:016x}", hash);
}

void check_fits(const Recommender& model, const std::string& trained_on, const data::Prepared& prepared) {
  if (model.n_users() == prepared.n_users && model.n_items() == prepared.n_items) {
    if (trained_on == fingerprint(prepared)) return;
    throw UsageError("the model was trained on other users or items than those of the data",
                     "train the model on this data, or give the data that it was trained on");
  }
  throw UsageError(fmt::format("the model knows {} users and {} items, the data has {} and {}", model.n_users(),
                               model.n_items(), prepared.n_users, prepared.n_items),
                   "train the model on this data, or give the data that it was trained on");
}

}  // namespace sheaf::app
