#include "engine/layers/layer.hpp"

#include <string>

#include "kernels/core/error.hpp"

namespace sheaf {

const char* to_string(Element element) {
  switch (element) {
    case Element::f32: return "f32";
    case Element::f16: return "f16";
    case Element::bf16: return "bf16";
  }
  return "?";
}

MatrixView<float> Tensor::f32(const char* layer) const {
  if (type != Element::f32) {
    throw UsageError(std::string(layer) + " takes tensors of type f32, not " + to_string(type),
                     "convert the tensor, or use a layer that takes its type");
  }
  return {static_cast<float*>(data), rows, cols};
}

Tensor Pass::take_back() {
  if (kept_.empty()) throw UsageError("a backward pass without its forward pass", "call forward() first");
  const Tensor last = kept_.back();
  kept_.pop_back();
  return last;
}

}  // namespace sheaf
