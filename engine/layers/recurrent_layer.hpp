#pragma once
/// Recurrent layers of packed sequences, kernels/recurrent/recurrent.hpp: the products of all rows with the input
/// weights (kernels/dense/linear.hpp) at once, then the sequences step by step. out is the state after each row.

#include "engine/layers/layer.hpp"
#include "engine/layers/linear.hpp"
#include "kernels/recurrent/recurrent.hpp"

namespace sheaf {

/// What Gru and Lstm share. Both begin as a slowly fading mean of their inputs: the candidate is tanh of the input
/// itself (its first columns where dim and n_in differ), its recurrent weights are 0, and each step keeps sigma(4) =
/// 98 % of the state before and takes the rest from the candidate. The gates' weights are normal.
class RecurrentLayer : public Layer {
 public:
  int64_t out_cols(int64_t cols) const override;
  void forward(Pass& pass, Tensor x, Tensor out) const override;
  void backward(Pass& pass, Tensor d_out, Tensor d_x) override;
  std::vector<Parameter*> parameters() override;
  void initialise(Initialiser& from) override;

 protected:
  RecurrentLayer(Context& context, const std::string& name, recurrent::Cell cell, int64_t n_in, int64_t dim);

 private:
  recurrent::Shape shape(const Pass& pass) const;
  VectorView<const float> bias() const { return {bias_.value.data(), bias_.cols}; }

  recurrent::Cell cell_;
  Linear input_;
  Parameter weight_;
  Parameter bias_;  // of a gru
};

/// x [n, n_in] to the states [n, dim]. Parameters `name`input [3 dim, n_in] and `name`input_bias [1, 3 dim],
/// `name`recurrent [3 dim, dim], `name`recurrent_bias [1, dim], in the op's order of gates.
class Gru final : public RecurrentLayer {
 public:
  Gru(Context& context, const std::string& name, int64_t n_in, int64_t dim)
      : RecurrentLayer(context, name, recurrent::Cell::gru, n_in, dim) {}
};

/// x [n, n_in] to the states [n, dim]. Parameters `name`input [4 dim, n_in] and `name`input_bias [1, 4 dim],
/// `name`recurrent [4 dim, dim].
class Lstm final : public RecurrentLayer {
 public:
  Lstm(Context& context, const std::string& name, int64_t n_in, int64_t dim)
      : RecurrentLayer(context, name, recurrent::Cell::lstm, n_in, dim) {}
};

}  // namespace sheaf
