#pragma once
/// What a model learns.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/buffer.hpp"
#include "kernels/core/optimizer.hpp"

namespace sheaf {

/// A matrix of weights. A scored model holds values alone; begin_training() adds what an optimizer needs.
struct Parameter {
  std::string name;
  int64_t rows = 0;
  int64_t cols = 0;
  bool decays = true;      // whether weight decay applies: not to biases and the weights of norms
  Buffer<float> value;     // [rows, cols] f32
  Buffer<float> gradient;  // [rows, cols] f32 after begin_training(); a backward pass overwrites it
  Buffer<float> moment1;   // [rows, cols] f32 after begin_training(), where the optimizer has a state
  Buffer<float> moment2;   // [rows, cols] f32, where it has two
  Optimizer optimizer = Optimizer::adam;

  MatrixView<float> matrix() { return value.matrix(rows, cols); }
  MatrixView<const float> matrix() const { return value.matrix(rows, cols); }
  /// Where a backward pass writes. UsageError before begin_training(), and for a table that only its touched rows
  /// update.
  MatrixView<float> gradient_matrix();
};

/// How a parameter's gradient comes: for all rows at once, or fused with the update of the rows that a step touches.
enum class Gradient { dense, of_touched_rows };

/// All zeros.
Parameter make_parameter(Context& context, std::string name, int64_t rows, int64_t cols, bool decays = true);
/// Zero moments, as many as the optimizer has, and, unless only touched rows are updated, room for the gradient.
void begin_training(Context& context, Parameter& parameter, Optimizer optimizer, Gradient gradient = Gradient::dense);
void begin_training(Context& context, const std::vector<Parameter*>& parameters, Optimizer optimizer = Optimizer::adam);
/// Gives the memory of a training back.
void end_training(const std::vector<Parameter*>& parameters);
/// One step of its optimizer on the whole parameter, with its gradient; weight decay only where it applies.
void optimizer_step(Context& context, Parameter& parameter, OptimizerParams params);
/// Of all of them, after their gradients are clipped to a common norm of clip_norm, if that is above 0.
void optimizer_steps(Context& context, const std::vector<Parameter*>& parameters, const OptimizerParams& params,
                     float clip_norm);

/// Normal with the given deviation: the transform of Box and Muller of two uniform draws a value, keyed by (seed,
/// table, row, column).
std::vector<float> normal_values(int64_t rows, int64_t cols, uint64_t seed, uint32_t table, float deviation);

/// On the device.
Buffer<float> copy_of(Context& context, const Buffer<float>& values);

/// 0, 1, .. n - 1 on the device.
Buffer<int32_t> all_ids(Context& context, int64_t n);

}  // namespace sheaf
