// Recurrent networks over the purchases in their order (GRU4Rec: Hidasi et al., "Session-based recommendations with
// recurrent neural networks", 2016): logit(u, i) = h_u . e_i + b_i + b, where h_u is the norm of the last layer's state
// after the user's last purchase (engine/layers/recurrent_layer.hpp). Two models share this code: `gru` and `lstm`.

#include <memory>
#include <string>
#include <utility>

#include "engine/layers/elementwise.hpp"
#include "engine/layers/recurrent_layer.hpp"
#include "engine/layers/residual_norm.hpp"
#include "engine/layers/sequential.hpp"
#include "engine/models/sequence_model.hpp"

namespace sheaf {
namespace {

class RecurrentModel final : public SequenceModel {
 public:
  explicit RecurrentModel(recurrent::Cell cell) : cell_(cell) {}

  std::string_view name() const override { return cell_ == recurrent::Cell::gru ? "gru" : "lstm"; }
  std::string_view about() const override {
    return cell_ == recurrent::Cell::gru ? "gated recurrent units over the purchases in their order (GRU4Rec)"
                                         : "long short-term memory over the purchases in their order";
  }

 protected:
  std::vector<Setting> network_settings() override {
    return {{"layers", "recurrent layers, one upon the other", &layers_, 1, 64},
            {"dropout", "share of inputs and states set to zero in training", &dropout_, 0.0, 0.95}};
  }

  std::shared_ptr<SequenceNetwork> make_network(Context& context, int64_t dim, int64_t user_rows) const override {
    Layers layers;
    for (int64_t l = 0; l < layers_; ++l) {
      layers.push_back(std::make_unique<DropoutLayer>(l + 1));
      if (cell_ == recurrent::Cell::gru) {
        layers.push_back(std::make_unique<Gru>(context, layer_name(l), dim, dim));
      } else {
        layers.push_back(std::make_unique<Lstm>(context, layer_name(l), dim, dim));
      }
    }
    layers.push_back(std::make_unique<PreNorm>(context, dim, Layers{}));  // without branches: dropout (place 0), norm
    auto stack = std::make_unique<Sequential>(std::move(layers));
    return std::make_shared<SequenceNetwork>(context, TokenShape{.max_length = max_length(), .user_rows = user_rows},
                                             dim, std::move(stack));
  }

  void check_sizes(const Tensors& tensors, int64_t dim) const override {
    for (int64_t l = 0; l < layers_; ++l) {
      tensors.matrix(layer_name(l) + "recurrent", recurrent::n_gates(cell_) * dim, dim);
    }
  }

 private:
  static std::string layer_name(int64_t l) { return "layer." + std::to_string(l) + "."; }

  recurrent::Cell cell_;
  int64_t layers_ = 1;
};

}  // namespace

std::unique_ptr<Recommender> make_gru() { return std::make_unique<RecurrentModel>(recurrent::Cell::gru); }
std::unique_ptr<Recommender> make_lstm() { return std::make_unique<RecurrentModel>(recurrent::Cell::lstm); }

}  // namespace sheaf
