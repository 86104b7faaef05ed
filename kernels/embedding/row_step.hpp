#pragma once
/// The optimizer's step of one element, for both backends of table_update.

#include <cmath>
#include <type_traits>

#include "kernels/embedding/table_update.hpp"

namespace sheaf::embedding {

/// Sorted places per segment of a row's sum.
constexpr int64_t kSegment = 512;

inline EntriesByRow<uint32_t, int32_t> take_entries(ScratchScope& scratch, int64_t n) {
  return {{scratch.take<uint32_t>(n), n}, {scratch.take<uint32_t>(n), n}, {scratch.take<int32_t>(n), n}};
}

/// Place within bag b of the entry that a slot stands for.
SHEAF_HD inline int32_t slot_place(const Bags& bags, int64_t b, int64_t slot) {
  return static_cast<int32_t>(slot - (bags.entities ? b * bags.max_bag : bag_range(bags, b).begin));
}

/// Weight that it has in the gradient of its row.
SHEAF_HD inline float slot_weight(const TableUpdateArgs& args, int64_t b, int64_t slot) {
  const Bags& bags = args.bags;
  const bool is_mean = args.pooling == Pooling::mean;
  if (!bags.weights && !is_mean) return 1.0f;
  const BagRange range = bag_range(bags, b);
  const float own = bags.weights ? bags.weights[bags.entities ? range.begin + slot - b * bags.max_bag : slot] : 1.0f;
  return is_mean ? own * (1.0f / static_cast<float>(range.end - range.begin)) : own;
}

/// TableUpdateArgs with what a call computes once.
struct RowStep {
  explicit RowStep(const Context& context, const TableUpdateArgs& update)
      : args(update),
        adam(update.params),
        key{context.seed(), Purpose::rounding, static_cast<uint32_t>(update.params.step)} {}

  template <class T>
  SHEAF_HD T* row(int64_t r) const {
    return static_cast<T*>(args.tables.data) + r * args.tables.dim;
  }

  /// Weight that entry e of bag b has in the gradient of its row, where no entities name the bags.
  SHEAF_HD float weight(int64_t b, int64_t e) const {
    const float own = args.bags.weights ? args.bags.weights[e] : 1.0f;
    if (args.pooling != Pooling::mean) return own;
    const BagRange range = range_of(args.bags, b);
    return own * (1.0f / static_cast<float>(range.end - range.begin));
  }

  /// rowwise_adagrad: the new state of row r, and the factor of g.
  SHEAF_HD float adagrad_scale(int64_t r, float sum_of_squares, float* new_state) const {
    *new_state = args.state1[r] + sum_of_squares / static_cast<float>(args.tables.dim);
    return args.params.learning_rate / (sqrtf(*new_state) + args.params.epsilon);
  }

  /// Steps element c of row r by its gradient without decay; `scale` is adagrad_scale's.
  template <class T>
  SHEAF_HD void element(int64_t r, int64_t c, float grad, float scale) const {
    T& stored = row<T>(r)[c];
    float p = to_float(stored);
    const OptimizerParams& o = args.params;
    const int64_t at = r * args.tables.dim + c;
    switch (args.optimizer) {
      case Optimizer::sgd: {
        float none = 0.0f;
        one_state_step<Optimizer::sgd>(o, grad, p, none);
        break;
      }
      case Optimizer::rowwise_adagrad: p -= scale * (grad + o.weight_decay * p); break;
      case Optimizer::adam: adam.apply(grad, p, args.state1[at], args.state2[at]); break;
      case Optimizer::rmsprop: one_state_step<Optimizer::rmsprop>(o, grad, p, args.state1[at]); break;
      case Optimizer::adagrad: one_state_step<Optimizer::adagrad>(o, grad, p, args.state1[at]); break;
      case Optimizer::momentum: one_state_step<Optimizer::momentum>(o, grad, p, args.state1[at]); break;
    }
    if constexpr (std::is_same_v<T, float>) {
      stored = p;
    } else {
      stored = args.stochastic_rounding
                   ? stochastic<T>(p, random_u32(key, static_cast<uint64_t>(r), static_cast<uint32_t>(c)))
                   : nearest<T>(p);
    }
  }

  TableUpdateArgs args;
  AdamStep adam;
  RandomKey key;
};

}  // namespace sheaf::embedding
