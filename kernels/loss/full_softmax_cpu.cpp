#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/core/parallel.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/loss/full_softmax.hpp"
#include "kernels/loss/softmax_tile.hpp"

namespace sheaf::loss::cpu {
namespace {

// Scores exist tile by tile and are computed twice ("cut cross-entropy": Wijmans et al., "Cut your losses in
// large-vocabulary language models", 2024). The forward pass goes over the items for some users: largest score, sum of
// exponentials and d_users. The backward pass goes over the users for some items: d_items and d_item_bias. Each row of
// a gradient is summed in ascending order by one thread, so the bits depend neither on threads nor on their pieces. The
// sum of exponentials has fixed tiles.
constexpr int64_t kForwardUsers = 64, kForwardItems = 256;
constexpr int64_t kBackwardUsers = 64, kBackwardItems = 128;
constexpr int64_t kColumnGap = 16;  // between rows of scores that are read by columns: those of 512 bytes share a set

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

/// Pieces of at most `most`, a multiple of kSumLanes, small enough for all threads to have some.
int64_t piece(const Context& context, int64_t n, int64_t most) {
  return std::clamp(round_up(n / (4 * context.n_threads()), kSumLanes), kSumLanes, most);
}

/// Parts of one piece of memory; without memory, their size.
class Parts {
 public:
  explicit Parts(std::byte* memory) : memory_(memory) {}
  template <class T>
  T* take(int64_t count) {
    std::byte* part = memory_ ? memory_ + size_ : nullptr;
    size_ += round_up(count * static_cast<int64_t>(sizeof(T)), 64);
    return reinterpret_cast<T*>(part);
  }
  int64_t size() const { return size_; }

 private:
  std::byte* memory_;
  int64_t size_ = 0;
};

// Floats that a thread needs in each pass (Forward, Backward).
constexpr int64_t kGradientStride = kBackwardItems + kColumnGap;
int64_t forward_size(int64_t padded) { return kSumLanes * kForwardItems + kForwardUsers * padded; }
int64_t backward_size(int64_t padded) {
  return (kBackwardUsers + kSumLanes) * kGradientStride + kBackwardItems * (padded + 1);
}

/// What both passes read, and what the first leaves for the second. Nothing has the size of users times items.
struct Shared {
  Shared(Parts& parts, const SoftmaxTile& softmax_tile, const FullSoftmaxArgs& args, int n_threads)
      : tile(softmax_tile),
        n_users(args.users.rows),
        n_items(args.items.rows),
        dim(args.users.cols),
        padded(round_up(dim, tile.width)),
        filled_items(round_up(n_items, kSumLanes)),
        users(parts.take<float>(round_up(n_users, tile.rows) * padded)),
        panels(parts.take<float>(filled_items * dim)),
        padded_items(padded == dim ? nullptr : parts.take<float>(n_items * padded)),
        items(padded == dim ? args.items.data : padded_items),
        bias(parts.take<float>(filled_items)),
        largest(parts.take<float>(n_users)),
        factor(parts.take<float>(n_users)),
        losses(parts.take<double>(n_users)),
        item_offsets(parts.take<int64_t>(n_items + 1)),
        target_users(parts.take<int64_t>(args.targets.nnz)),
        targets(parts.take<float>(args.targets.nnz)),
        thread_size(std::max(forward_size(padded), backward_size(padded))),
        threads(parts.take<float>(thread_size * n_threads)) {}
  float* of_thread(int thread) const { return threads + thread * thread_size; }

  const SoftmaxTile& tile;
  int64_t n_users, n_items, dim, padded, filled_items;
  float* users;         // [n_users, padded], zeros after the last column and up to a multiple of tile.rows
  float* panels;        // of items (core/tile_product.hpp)
  float* padded_items;  // [n_items, padded], or null
  const float* items;   // [n_items, padded]
  float* bias;          // [n_items], -infinity up to a multiple of kSumLanes
  float* largest;       // [n_users]
  float* factor;        // [n_users] scale * W_u / sum of exponentials
  double* losses;       // [n_users]
  // The targets by item, users ascending.
  int64_t* item_offsets;  // [n_items + 1]
  int64_t* target_users;  // [nnz]
  float* targets;         // [nnz] scale * weight
  int64_t thread_size;
  float* threads;  // [n_threads, thread_size] for one pass after the other
};

float target_of(const FullSoftmaxArgs& args, int64_t e) {
  return args.targets.values ? args.scale * args.targets.values[e] : args.scale;
}

void pad_rows(MatrixView<const float> rows, int64_t begin, int64_t end, int64_t width, float* padded) {
  for (int64_t r = begin; r < end; ++r) {
    std::fill(std::copy_n(rows.row(r), rows.cols, padded + r * width), padded + (r + 1) * width, 0.0f);
  }
}

void prepare(const Context& context, const FullSoftmaxArgs& args, const Shared& s) {
  pad_rows(args.users, 0, s.n_users, s.padded, s.users);
  std::fill(s.users + s.n_users * s.padded, s.users + round_up(s.n_users, s.tile.rows) * s.padded, 0.0f);
  parallel_for(context, s.n_items, kForwardItems, [&](int64_t begin, int64_t end) {
    s.tile.pack(args.items.row(begin), s.dim, end - begin, s.dim, s.panels + begin * s.dim);
    std::copy(args.item_bias.data + begin, args.item_bias.data + end, s.bias + begin);
    if (s.padded_items) pad_rows(args.items, begin, end, s.padded, s.padded_items);
  });
  std::fill(s.panels + round_up(s.n_items, s.tile.width) * s.dim, s.panels + s.filled_items * s.dim, 0.0f);
  std::fill(s.bias + s.n_items, s.bias + s.filled_items, -INFINITY);
}

void sort_targets(const FullSoftmaxArgs& args, const Shared& s) {
  int64_t* next = s.item_offsets + 1;  // where the item's next target goes; at last, where its targets end
  std::fill_n(s.item_offsets, s.n_items + 1, 0);
  const CsrView& targets = args.targets;
  for (int64_t e = 0; e < targets.row_offsets[s.n_users]; ++e) {
    if (targets.columns[e] + 1 < s.n_items) ++next[targets.columns[e] + 1];
  }
  std::partial_sum(next, next + s.n_items, next);
  for (int64_t u = 0; u < s.n_users; ++u) {
    for (int64_t e = targets.row_offsets[u]; e < targets.row_offsets[u + 1]; ++e) {
      const int64_t at = next[targets.columns[e]]++;
      s.target_users[at] = u;
      s.targets[at] = target_of(args, e);
    }
  }
}

/// Scores without biases of tile.rows users from `user` on against n_items from `first` on, a multiple of kSumLanes.
void score(const Shared& s, int64_t user, int64_t first, int64_t n_items, float* x, int64_t stride) {
  s.tile.multiply({.a = s.users + user * s.padded,
                   .a_row = s.padded,
                   .a_step = 1,
                   .b = s.panels + first * s.dim,
                   .b_step = s.tile.width,
                   .b_vector = s.tile.width * s.dim,
                   .n_terms = s.dim,
                   .c = x,
                   .c_row = stride,
                   .n_vectors = n_items / s.tile.width,
                   .adds = false});
}

/// The forward pass for the users [begin, end), where begin is a multiple of kSumLanes.
class Forward {
 public:
  Forward(const FullSoftmaxArgs& args, const Shared& shared, float* memory)
      : args_(args), s_(shared), scores_(memory), sums_(memory + kSumLanes * kForwardItems) {}

  void run(int64_t begin, int64_t end) {
    const int64_t n = end - begin, rows = s_.tile.rows;
    std::fill_n(sums_, round_up(n, rows) * s_.padded, 0.0f);
    std::fill_n(s_.largest + begin, n, -INFINITY);
    std::fill_n(totals_, n, 0.0);
    for (int64_t first = 0; first < s_.n_items; first += kForwardItems) {
      for (int64_t r = 0; r < n; r += rows) tile(begin, r, std::min(rows, n - r), first);
    }
    for (int64_t r = 0; r < n; ++r) finish(begin + r, totals_[r], sums_ + r * s_.padded);
  }

 private:
  void tile(int64_t begin, int64_t r, int64_t n_rows, int64_t first) {
    const int64_t n_items = std::min(kForwardItems, s_.n_items - first), n_filled = round_up(n_items, kSumLanes);
    float* largest = s_.largest + begin + r;
    float before[kSumLanes], totals[kSumLanes];
    std::copy_n(largest, n_rows, before);
    score(s_, begin + r, first, n_filled, scores_, kForwardItems);
    s_.tile.exponentials({scores_, kForwardItems, n_rows, s_.bias + first, n_filled}, largest, totals);
    for (int64_t i = 0; i < n_rows; ++i) {
      double& total = totals_[r + i];
      if (before[i] != largest[i]) {
        const double factor = std::exp(static_cast<double>(before[i]) - static_cast<double>(largest[i]));
        total *= factor;
        const auto scale = static_cast<float>(factor);
        for (float* sum = sums_ + (r + i) * s_.padded; sum < sums_ + (r + i + 1) * s_.padded; ++sum) *sum *= scale;
      }
      total += static_cast<double>(totals[i]);
    }
    s_.tile.multiply({.a = scores_,
                      .a_row = kForwardItems,
                      .a_step = 1,
                      .b = s_.items + first * s_.padded,
                      .b_step = s_.padded,
                      .b_vector = s_.tile.width,
                      .n_terms = n_items,
                      .c = sums_ + r * s_.padded,
                      .c_row = s_.padded,
                      .n_vectors = s_.padded / s_.tile.width,
                      .adds = true});
  }

  void finish(int64_t u, double total, const float* sums) const {
    double weight = 0, target_scores = 0;
    const int64_t first = args_.targets.row_offsets[u], last = args_.targets.row_offsets[u + 1];
    for (int64_t e = first; e < last; ++e) {
      const int64_t item = args_.targets.columns[e];
      const auto w = static_cast<double>(args_.targets.values ? args_.targets.values[e] : 1.0f);
      weight += w;
      target_scores +=
          w * static_cast<double>(dot(args_.users.row(u), args_.items.row(item), s_.dim) + args_.item_bias[item]);
    }
    const auto factor = static_cast<float>(static_cast<double>(args_.scale) * weight / total);
    s_.factor[u] = factor;
    const double log_sum = std::log(total) + static_cast<double>(s_.largest[u]);
    s_.losses[u] = static_cast<double>(args_.scale) * (weight * log_sum - target_scores);
    float* gradient = args_.d_users.row(u);
    for (int64_t c = 0; c < s_.dim; ++c) gradient[c] = factor * sums[c];
    for (int64_t e = first; e < last; ++e) {
      axpy(-target_of(args_, e), args_.items.row(args_.targets.columns[e]), gradient, s_.dim);
    }
  }

  const FullSoftmaxArgs& args_;
  const Shared& s_;
  float* scores_;                 // [kSumLanes, kForwardItems] scores, then exponentials
  float* sums_;                   // [kForwardUsers, padded] exponentials times items
  double totals_[kForwardUsers];  // of exponentials
};

/// The backward pass for the items [begin, end), where begin is a multiple of kSumLanes.
class Backward {
 public:
  Backward(const FullSoftmaxArgs& args, const Shared& shared, float* memory)
      : args_(args),
        s_(shared),
        gradients_(memory),
        bias_sums_(memory + (kBackwardUsers + kSumLanes) * kGradientStride),
        sums_(bias_sums_ + kBackwardItems) {}

  void run(int64_t begin, int64_t end) {
    const int64_t n = end - begin, n_filled = round_up(n, kSumLanes);
    std::copy_n(s_.item_offsets + begin, n, next_);
    std::fill_n(bias_sums_, n_filled, 0.0f);
    std::fill_n(sums_, n_filled * s_.padded, 0.0f);
    for (int64_t user = 0; user < s_.n_users; user += kBackwardUsers) {
      tile(begin, n, user, std::min(kBackwardUsers, s_.n_users - user));
    }
    std::copy_n(bias_sums_, n, args_.d_item_bias.data + begin);
    for (int64_t i = 0; i < n; ++i) std::copy_n(sums_ + i * s_.padded, s_.dim, args_.d_items.row(begin + i));
  }

 private:
  void tile(int64_t begin, int64_t n, int64_t user, int64_t n_users) {
    const int64_t n_filled = round_up(n, kSumLanes), rows = s_.tile.rows;
    for (int64_t r = 0; r < n_users; r += rows) {
      float* x = gradients_ + r * kGradientStride;
      score(s_, user + r, begin, n_filled, x, kGradientStride);
      s_.tile.probabilities({x, kGradientStride, std::min(rows, n_users - r), s_.bias + begin, n_filled},
                            s_.largest + user + r, s_.factor + user + r);
    }
    for (int64_t i = 0; i < n; ++i) {
      int64_t& next = next_[i];
      for (; next < s_.item_offsets[begin + i + 1] && s_.target_users[next] < user + n_users; ++next) {
        gradients_[(s_.target_users[next] - user) * kGradientStride + i] -= s_.targets[next];
      }
    }
    s_.tile.add_rows(gradients_, kGradientStride, n_users, n_filled, bias_sums_);
    for (int64_t i = 0; i < n; i += rows) {
      s_.tile.multiply({.a = gradients_ + i,
                        .a_row = 1,
                        .a_step = kGradientStride,
                        .b = s_.users + user * s_.padded,
                        .b_step = s_.padded,
                        .b_vector = s_.tile.width,
                        .n_terms = n_users,
                        .c = sums_ + i * s_.padded,
                        .c_row = s_.padded,
                        .n_vectors = s_.padded / s_.tile.width,
                        .adds = true});
    }
  }

  const FullSoftmaxArgs& args_;
  const Shared& s_;
  float* gradients_;              // [kBackwardUsers, kGradientStride] of scores
  float* bias_sums_;              // [kBackwardItems]
  float* sums_;                   // [kBackwardItems, padded]
  int64_t next_[kBackwardItems];  // the item's next target
};

}  // namespace

int64_t full_softmax_scratch(int n_threads, const FullSoftmaxArgs& args) {
  Parts parts(nullptr);
  const Shared shared(parts, softmax_tile(), args, n_threads);
  return parts.size();
}

void full_softmax(Context& context, const FullSoftmaxArgs& args) {
  const int64_t n_users = args.users.rows, n_items = args.items.rows;
  if (n_users == 0) {
    std::fill_n(args.d_items.data, args.d_items.size(), 0.0f);
    std::fill_n(args.d_item_bias.data, n_items, 0.0f);
    return;
  }
  ScratchScope scratch(context);
  Parts parts(scratch.take<std::byte>(full_softmax_scratch(context.n_threads(), args)));
  const Shared shared(parts, softmax_tile(), args, context.n_threads());
  prepare(context, args, shared);
  sort_targets(args, shared);
  parallel_for(context, n_users, piece(context, n_users, kForwardUsers), [&](int64_t begin, int64_t end, int thread) {
    Forward(args, shared, shared.of_thread(thread)).run(begin, end);
  });
  parallel_for(context, n_items, piece(context, n_items, kBackwardItems), [&](int64_t begin, int64_t end, int thread) {
    Backward(args, shared, shared.of_thread(thread)).run(begin, end);
  });
  for (int64_t u = 0; u < n_users; ++u) args.loss[0] += shared.losses[u];
}

}  // namespace sheaf::loss::cpu
