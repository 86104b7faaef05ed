#include "engine/layers/transformer.hpp"

#include <cmath>
#include <string>

#include "engine/layers/attention_layer.hpp"
#include "engine/layers/residual_norm.hpp"
#include "engine/layers/sequential.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

/// The shape, once it is known to be possible.
const TransformerShape& checked(const TransformerShape& s, int64_t dim) {
  const auto require = [](bool good, const std::string& what, const char* mend) {
    if (!good) throw UsageError(what, mend);
  };
  require(s.layers >= 1 && s.heads >= 1 && s.max_length >= 1 && s.feed_forward >= 1,
          "sasrec.layers, heads, max_length and feed_forward must each be at least 1", "see `sheaf config`");
  require(dim % s.heads == 0,
          "model.dim = " + std::to_string(dim) + " is no multiple of sasrec.heads = " + std::to_string(s.heads),
          "choose a number of heads that divides model.dim");
  require(
      dim / s.heads <= attention::kMaxDim,
      "a head of " + std::to_string(dim / s.heads) + " dimensions is wider than " + std::to_string(attention::kMaxDim),
      "raise sasrec.heads");
  return s;
}

Layers branches_of(Context& context, const TransformerShape& shape, int64_t dim) {
  const float residual = 1.0f / std::sqrt(2.0f * static_cast<float>(shape.layers));
  Layers branches;
  for (int64_t l = 0; l < shape.layers; ++l) {
    const std::string name = "layer." + std::to_string(l) + ".";
    branches.push_back(std::make_unique<SelfAttention>(context, name, dim, shape.heads, l));
    branches.push_back(make_feed_forward(context, name, dim, shape.feed_forward, residual));
  }
  return branches;
}

}  // namespace

Transformer::Transformer(Context& context, const TransformerShape& shape, int64_t dim)
    : SequenceNetwork(context, shape.tokens(), dim,
                      std::make_unique<PreNorm>(context, dim, branches_of(context, checked(shape, dim), dim))),
      shape_(shape) {}

}  // namespace sheaf
