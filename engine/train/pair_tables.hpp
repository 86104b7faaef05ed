#pragma once
/// The parameters of the models that score a pair by a user's row and an item's, with items described by their own row
/// plus those of their features:
///   e_i = sum over the rows in item i's bag (itself, and its features when they are on: the row of each categorical
///         value, and z times the row of each number z); and with `attributes` v_i of
///         engine/layers/attribute_convolution.hpp, of what they say together
///   dot:   logit(u, i) = e_u . e_i + b_u + b_i + b          (b_i is a bag sum, too)
///   sum:   logit(u, i) = w1 . e_u + w2 . e_i + b
///   items: e_i, b_i and b alone; what stands for the user is the model's own (engine/models/sequence_model.hpp)
/// Parameters live on the device.

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/data/catalog.hpp"
#include "engine/layers/attribute_convolution.hpp"
#include "engine/layers/embedding_bag.hpp"
#include "engine/layers/parameter.hpp"
#include "engine/scoring/linear_scorer.hpp"
#include "kernels/core/buffer.hpp"

namespace sheaf {

enum class PairForm { dot, sum, items };

/// The bag of each item: itself, and with item features the columns of feature_matrix(). [n_items, item rows]
HostCsr make_item_bags(const Catalog& catalog, bool item_features);

class PairTables {
 public:
  /// Zeros. DataError without a user, an item or a dimension.
  PairTables(Context& context, PairForm form, int64_t n_users, int64_t dim, HostCsr item_bags);
  /// Tables normal with deviation 0.1 from (seed, Purpose::init, 0 ..); biases stay 0. Returns the number of tables
  /// drawn.
  uint32_t initialise(uint64_t seed);

  PairForm form() const { return form_; }
  int64_t n_users() const { return n_users_; }
  int64_t n_items() const { return n_items_; }
  int64_t dim() const { return dim_; }

  /// e_i, [n_items, dim]
  Buffer<float> item_vectors(Context& context) const;
  /// The part of e_i that is the sum of the bag, [n_items, dim]
  Buffer<float> bag_vectors(Context& context) const;
  /// b_i, [n_items]
  Buffer<float> item_biases(Context& context) const;

  // What a training step works on.
  const EmbeddingBag& user_rows() const { return user_rows_; }
  const EmbeddingBag& item_bags() const { return item_bags_; }
  const HostCsr& host_item_bags() const { return host_item_bags_; }
  Parameter user_table;                            // [n_users, dim]; not of `items`
  Parameter item_table;                            // [n_item_rows, dim]
  Parameter user_bias;                             // [n_users, 1]; dot only
  Parameter item_bias;                             // [n_item_rows, 1]; not of `sum`
  Parameter w_user;                                // [1, dim]; sum only
  Parameter w_item;                                // [1, dim]; sum only
  Parameter bias;                                  // [1, 1]
  std::optional<AttributeConvolution> attributes;  // dot only, and only the softmax epoch trains it; set before
                                                   // initialise()

  std::vector<Parameter*> parameters();

 private:
  PairForm form_;
  int64_t n_users_;
  int64_t n_items_;
  int64_t dim_;
  HostCsr host_item_bags_;
  EmbeddingBag user_rows_;
  EmbeddingBag item_bags_;
};

/// The linear scorer of tables of the forms dot and sum; `encode` is the caller's.
LinearParts linear_parts(Context& context, const PairTables& tables);

}  // namespace sheaf
