#pragma once
/// What the CPU's forward and backward share: rows of heads as floats, the numbers added to scores, the factors of
/// probabilities.

#include <algorithm>
#include <cmath>

#include "kernels/attention/attention.hpp"
#include "kernels/attention/attention_tile.hpp"
#include "kernels/attention/pair.hpp"

namespace sheaf::attention::cpu {

/// Keys that are processed at a time: their panels stay in the second-level cache.
constexpr int64_t kChunkKeys = 512;

inline int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/// Rows of floats in memory.
struct FloatRows {
  const float* data;
  int64_t stride;
};

template <class T>
void widen(const T* from, int64_t from_stride, int64_t n, int64_t dim, float factor, float* to, int64_t to_stride) {
  for (int64_t j = 0; j < n; ++j) {
    const T* row = from + j * from_stride;
    float* target = to + j * to_stride;
    for (int64_t c = 0; c < dim; ++c) target[c] = to_float(row[c]) * factor;
    std::fill(target + dim, target + to_stride, 0.0f);
  }
}

/// n rows of a head times `factor`, zeros from dim to `stride`.
inline void copy_rows(const Heads<const void>& heads, const Shape& shape, int64_t token, int64_t head, int64_t n,
                      float factor, float* to, int64_t stride) {
  const int64_t at = token * heads.stride + head * shape.dim;
  if (shape.element == Element::f32) {
    widen(static_cast<const float*>(heads.data) + at, heads.stride, n, shape.dim, factor, to, stride);
  } else if (shape.element == Element::f16) {
    widen(static_cast<const Half*>(heads.data) + at, heads.stride, n, shape.dim, factor, to, stride);
  } else {
    widen(static_cast<const BFloat16*>(heads.data) + at, heads.stride, n, shape.dim, factor, to, stride);
  }
}

/// Rows of keys or values that vectors can be read from: in place, or in `buffer` [n, padded dim]. There, hidden keys
/// are zeros, because their numbers must not count even if they are NaN.
inline FloatRows key_rows(const Heads<const void>& heads, const Shape& shape, int64_t token, int64_t head, int64_t n,
                          int64_t padded, float* buffer) {
  if (shape.element == Element::f32 && shape.key_keep.empty() && padded == shape.dim) {
    return {static_cast<const float*>(heads.data) + token * heads.stride + head * shape.dim, heads.stride};
  }
  copy_rows(heads, shape, token, head, n, 1.0f, buffer, padded);
  if (!shape.key_keep.empty()) {
    for (int64_t j = 0; j < n; ++j) {
      if (shape.key_keep[token + j] == 0) std::fill_n(buffer + j * padded, padded, 0.0f);
    }
  }
  return {buffer, padded};
}

template <class T>
void narrow(const float* from, float factor, int64_t dim, T* to) {
  for (int64_t c = 0; c < dim; ++c) to[c] = nearest<T>(from[c] * factor);
}

inline void write_row(const float* from, float factor, const Heads<void>& heads, const Shape& shape, int64_t token,
                      int64_t head) {
  const int64_t at = token * heads.stride + head * shape.dim;
  if (shape.element == Element::f32) {
    narrow(from, factor, shape.dim, static_cast<float*>(heads.data) + at);
  } else if (shape.element == Element::f16) {
    narrow(from, factor, shape.dim, static_cast<Half*>(heads.data) + at);
  } else {
    narrow(from, factor, shape.dim, static_cast<BFloat16*>(heads.data) + at);
  }
}

/// 0 or -infinity for each key of a chunk; null if none can be hidden.
inline const float* hidden_row(const Shape& shape, int64_t token, int64_t n, float* buffer) {
  if (shape.key_keep.empty()) return nullptr;
  for (int64_t j = 0; j < n; ++j) buffer[j] = shape.key_keep[token + j] != 0 ? 0.0f : -INFINITY;
  return buffer;
}

/// The bias of one head by j - i. The values that row i reads are contiguous, from at(i, first key) on.
struct BiasBand {
  float* values = nullptr;  // [2 * longest + 16]: vectors reach beyond the last
  int64_t longest = 0;

  void read(const Shape& shape, int64_t head) const {
    const int64_t radius = shape.relative_bias.cols / 2;
    for (int64_t t = 1 - longest; t < longest; ++t) {
      values[t + longest] = shape.relative_bias(head, bias_column<int64_t>(-t, 0, radius));
    }
  }
  float* at(int64_t i, int64_t j) const { return values + (j - i + longest); }
};

/// The factors of row i for keys [first, first + n), where first is a multiple of 16; `keep` has room for n rounded up
/// to 16.
inline void draw_keep(const DropoutMask& mask, int64_t sequence, int64_t head, int64_t i, int64_t first, int64_t n,
                      float* keep) {
  for (int64_t j = 0; j < n; j += 16) {
    const Random4 draw = mask.draw(sequence, head, i, (first + j) / 16);
    for (int c = 0; c < 16; ++c) keep[j + c] = mask.keep(draw, c);
  }
}

/// A sequence and a key head, with all query heads of that key head.
struct WorkTile {
  int64_t sequence, kv_head;
  Span span;
};

/// Floats of one thread, given out in parts that begin at a cache line.
class Workspace {
 public:
  explicit Workspace(float* data) : next_(data) {}
  float* take(int64_t n) {
    float* part = next_;
    next_ += padded(n);
    return part;
  }
  static int64_t padded(int64_t n) { return round_up(n, 16); }

 private:
  float* next_;
};

}  // namespace sheaf::attention::cpu
