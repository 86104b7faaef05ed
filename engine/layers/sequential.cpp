#include "engine/layers/sequential.hpp"

#include <utility>

#include "engine/layers/linear.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {

Sequential::Sequential(Layers layers) : layers_(std::move(layers)) {
  if (layers_.empty()) throw UsageError("a sequence of no layers", "give it at least one");
}

int64_t Sequential::out_cols(int64_t cols) const {
  for (const auto& layer : layers_) cols = layer->out_cols(cols);
  return cols;
}

void Sequential::forward(Pass& pass, Tensor x, Tensor out) const {
  for (const auto& layer : layers_) {
    const bool last = &layer == &layers_.back();
    const Tensor next = last ? out : pass.take(x.rows, layer->out_cols(x.cols));
    layer->forward(pass, x, next);
    pass.keep({nullptr, x.rows, x.cols, x.type});  // the shape of the gradient
    x = next;
  }
}

void Sequential::backward(Pass& pass, Tensor d_out, Tensor d_x) {
  ScratchScope scratch(pass.context);
  for (size_t l = layers_.size(); l > 0; --l) {
    const Tensor x = pass.take_back();
    const Tensor next = l == 1 ? d_x : Tensor(MatrixView<float>{scratch.take<float>(x.size()), x.rows, x.cols});
    layers_[l - 1]->backward(pass, d_out, next);
    d_out = next;
  }
}

std::vector<Parameter*> Sequential::parameters() {
  std::vector<Parameter*> all;
  for (const auto& layer : layers_) {
    const std::vector<Parameter*> own = layer->parameters();
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

void Sequential::initialise(Initialiser& from) {
  for (const auto& layer : layers_) layer->initialise(from);
}

std::unique_ptr<Layer> make_feed_forward(Context& context, const std::string& name, int64_t dim, int64_t width,
                                         float outer_deviation) {
  Layers layers;
  layers.push_back(std::make_unique<Linear>(context, name + "inner", dim, width, Linear::Options{.relu = true}));
  layers.push_back(
      std::make_unique<Linear>(context, name + "outer", width, dim, Linear::Options{.deviation = outer_deviation}));
  return std::make_unique<Sequential>(std::move(layers));
}

}  // namespace sheaf
