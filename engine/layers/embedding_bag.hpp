#pragma once
/// Weighted sums of rows: the vectors of entities from a table (kernels/embedding), and pooling of a sequence's rows
/// into one.
///
///   forward:  out[n, :] = sum over the entries (r, w) of bag n of w * x[r, :]      empty bags give zeros
///   backward: d_x[r, :] = sum over the bags n that hold r of w * d_out[n, :]       rows that no bag holds get zeros
///
/// Sums run in the order of the entries and of the bags: the same bits on any number of threads.

#include <vector>

#include "engine/data/csr.hpp"
#include "engine/layers/parameter.hpp"
#include "engine/layers/tensor.hpp"
#include "kernels/embedding/table_sort.hpp"

namespace sheaf {

class EmbeddingBag {
 public:
  EmbeddingBag() = default;
  /// `bags` [n_bags, n_rows]. Without a backward pass the transpose is not made.
  EmbeddingBag(Context& context, const HostCsr& bags, bool with_backward = false);

  int64_t n_bags() const { return n_bags_; }
  int64_t n_rows() const { return n_rows_; }
  /// Of device memory: as much as the bags have entries, however many rows there are.
  int64_t bytes() const;

  /// All bags: x [n_rows, dim] to out [n_bags, dim].
  void forward(Context& context, MatrixView<const float> x, MatrixView<float> out) const;
  /// The same for a table of any element type; sums are in f32.
  void forward_tensor(Context& context, const Tensor& x, MatrixView<float> out) const;
  /// d_out [n_bags, dim] to d_x [n_rows, dim], overwritten. UsageError for a bag without a backward pass.
  void backward(Context& context, MatrixView<const float> d_out, MatrixView<float> d_x) const;

  /// The bags `ids` [n], each in [0, n_bags): table [n_rows, dim] to out [n, dim].
  void look_up(Context& context, MatrixView<const float> table, VectorView<const int32_t> ids,
               MatrixView<float> out) const;
  /// The entries of the bags `ids` in the order of their rows, in scratch memory: for the updates of `table` and of all
  /// others that were looked up by these ids.
  embedding::SortedEntries sort(Context& context, ScratchScope& scratch, VectorView<const int32_t> ids,
                                const Parameter& table) const;
  /// The backward pass of look_up() fused with its table's optimizer step on the rows that it touched, and no others.
  void update(Context& context, MatrixView<const float> d_out, VectorView<const int32_t> ids,
              const embedding::SortedEntries& sorted, const OptimizerParams& params, Parameter& table) const;

 private:
  embedding::Bags named(VectorView<const int32_t> ids) const;

  int64_t n_bags_ = 0;
  int64_t n_rows_ = 0;
  int64_t max_bag_ = 1;
  bool is_lookup_ = false;  // bag n is row n
  bool has_backward_ = false;
  DeviceCsr bags_;
  DeviceCsr readers_;  // [n_rows, n_bags]: the transpose; where bags hold few rows, of these alone
  bool holds_few_ = false;
  Buffer<int32_t> held_;    // [n_held] ascending rows of readers_, if these are few
  Buffer<int32_t> places_;  // [n_held] 0, 1, 2, ...
};

/// Row r of the result is row rows[r] of x: a bag of one row each. [rows.size(), n_rows]
HostCsr rows_of(const std::vector<int32_t>& rows, int64_t n_rows);

enum class Pooling { last, mean, sum };
/// Pools the rows of each packed sequence into one; a sequence without rows gives zeros. `offsets` as in
/// PackedSequences, on the host.
HostCsr pooling_of(const std::vector<int64_t>& offsets, Pooling pooling);

}  // namespace sheaf
