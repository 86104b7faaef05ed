#pragma once
/// The preference models, all with items described by their own row plus those of their features:
///   e_i = sum over the rows in item i's bag (itself, and each categorical value when item features are on)
///   additive:       logit(u, i) = w1 . e_u + w2 . e_i + b
///   factorization:  logit(u, i) = e_u . e_i + b_u + b_i + b      (b_i is a bag sum, too)
///   transformer:    logit(u, i) = h_u . e_i + b_i + b            (h_u: state of the user's last purchase, engine/models/transformer.hpp)
/// and P(u, i) = sigmoid(logit). Parameters live on the device.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/catalog.hpp"
#include "engine/models/parameter.hpp"
#include "engine/models/scorer.hpp"
#include "engine/models/transformer.hpp"
#include "kernels/core/buffer.hpp"

namespace sheaf {

enum class PreferenceKind { additive, factorization, transformer };
enum class LossKind { softmax, sampled_softmax, bpr, bce };

const char* to_string(PreferenceKind kind);
PreferenceKind parse_preference(const std::string& text);

/// Host copy of all parameters: what a checkpoint holds.
struct PreferenceState {
  PreferenceKind kind = PreferenceKind::factorization;
  int64_t n_users = 0;
  int64_t n_items = 0;
  int64_t dim = 0;
  HostCsr item_bags;  // [n_items, n_item_rows]
  struct Table {
    std::string name;
    int64_t rows = 0, cols = 0;
    std::vector<float> values;
  };
  std::vector<Table> tables;
  Calibration calibration;
  // The transformer alone:
  TransformerShape transformer;
  History history;  // the newest purchases of each user, without baskets
};

class PreferenceModel {
 public:
  /// Fresh parameters: normal with deviation 0.1 from (seed, Purpose::init), biases 0. A transformer keeps the newest
  /// transformer.max_length purchases of each user's history: what it knows of them.
  PreferenceModel(Context& context, PreferenceKind kind, int64_t n_users, int64_t dim, const Catalog& catalog,
                  bool item_features, uint64_t seed, const TransformerShape& transformer = {},
                  const History& history = {});
  PreferenceModel(Context& context, const PreferenceState& state);

  PreferenceKind kind() const { return kind_; }
  int64_t n_users() const { return n_users_; }
  int64_t n_items() const { return n_items_; }
  int64_t dim() const { return dim_; }

  /// The scoring form; item bags are summed once here.
  LinearScorer scorer(Context& context) const;
  /// e_u or h_u, [n_users, dim]; a user without purchases has h_u = 0.
  Buffer<float> user_vectors(Context& context) const;
  /// Item vectors e_i alone, [n_items, dim], for association.
  Buffer<float> item_vectors(Context& context) const;
  PreferenceState state() const;
  void set_calibration(Calibration calibration) { calibration_ = calibration; }
  const Calibration& calibration() const { return calibration_; }

  // What the training step works on.
  CsrView user_rows() const { return user_rows_.view(); }
  CsrView item_bags() const { return item_bags_.view(); }
  const HostCsr& host_item_bags() const { return host_item_bags_; }
  int64_t max_item_bag() const { return max_item_bag_; }
  Parameter user_table;                      // [n_users, dim]; not of the transformer
  Parameter item_table;                      // [n_item_rows, dim]
  Parameter user_bias;                       // [n_users, 1]; factorization only
  Parameter item_bias;                       // [n_item_rows, 1]; not of the additive model
  Parameter w_user;                          // [1, dim]; additive only
  Parameter w_item;                          // [1, dim]; additive only
  Parameter bias;                            // [1, 1]
  std::unique_ptr<Transformer> transformer;  // of the transformer only

  std::vector<Parameter*> parameters();
  std::vector<const Parameter*> parameters() const;

 private:
  PreferenceModel(Context& context, PreferenceKind kind, int64_t n_users, int64_t dim, HostCsr item_bags,
                  const TransformerShape& shape);

  PreferenceKind kind_;
  int64_t n_users_;
  int64_t n_items_;
  int64_t dim_;
  int64_t max_item_bag_ = 1;
  HostCsr host_item_bags_;
  DeviceCsr user_rows_;
  DeviceCsr item_bags_;
  Calibration calibration_;
  History history_;
};

}  // namespace sheaf
