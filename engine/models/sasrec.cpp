// SASRec (Kang and McAuley, 2018) with a user table (SSE-PT: Wu et al., 2020): logit(u, i) = h_u . e_i + b_i + b, where
// h_u is the state of the user's last purchase (engine/layers/transformer.hpp).

#include <memory>
#include <string>

#include "engine/layers/transformer.hpp"
#include "engine/models/sequence_model.hpp"

namespace sheaf {
namespace {

class SasRec final : public SequenceModel {
 public:
  std::string_view name() const override { return "sasrec"; }
  std::string_view about() const override { return "self-attention over the purchases in their order"; }

 protected:
  std::vector<Setting> network_settings() override {
    return {{"layers", "layers, each of attention and a feed-forward part", &layers_, 1, 64},
            {"heads", "heads of the attention; a divisor of model.dim", &heads_, 1, 64},
            {"feed_forward", "width of the feed-forward part", &feed_forward_, 1, 65536},
            {"dropout", "share of inputs, branches and attention set to zero in training", &dropout_, 0.0, 0.95}};
  }

  std::shared_ptr<SequenceNetwork> make_network(Context& context, int64_t dim, int64_t user_rows) const override {
    const TransformerShape shape{.layers = layers_,
                                 .heads = heads_,
                                 .max_length = max_length(),
                                 .feed_forward = feed_forward_,
                                 .user_rows = user_rows};
    return std::make_shared<Transformer>(context, shape, dim);
  }

  void check_sizes(const Tensors& tensors, int64_t dim) const override {
    tensors.matrix("positions", max_length(), dim);
    for (int64_t l = 0; l < layers_; ++l) {
      tensors.matrix("layer." + std::to_string(l) + ".inner", feed_forward_, dim);
    }
  }

 private:
  int64_t layers_ = 2, heads_ = 2, feed_forward_ = 256;
};

}  // namespace

std::unique_ptr<Recommender> make_sasrec() { return std::make_unique<SasRec>(); }

}  // namespace sheaf
