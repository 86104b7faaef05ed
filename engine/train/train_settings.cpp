#include "engine/train/train_settings.hpp"

#include <algorithm>

#include "engine/data/nearest.hpp"
#include "kernels/core/error.hpp"

namespace sheaf {
namespace {

constexpr double kUsualWeightDecay = 0.003;
// A step of SGD is as long as the gradient, and that of a mean over pairs is small. By validation on the shipped data.
constexpr double kSgdOfPairs = 70.0;

}  // namespace

std::string_view to_string(LossKind loss) {
  switch (loss) {
    case LossKind::softmax: return "softmax";
    case LossKind::sampled_softmax: return "sampled_softmax";
    case LossKind::bpr: return "bpr";
    case LossKind::bce: return "bce";
  }
  return "";
}

LossKind parse_loss(const std::string& text, const std::vector<LossKind>& allowed, std::string_view model) {
  std::vector<std::string> names;
  for (const LossKind loss : allowed) {
    if (text == to_string(loss)) return loss;
    names.emplace_back(to_string(loss));
  }
  throw UsageError("model.loss = " + text + " is no loss of the model " + std::string(model),
                   "take " + text::nearest(text, names) + "; the model has " + text::join(names));
}

SettingGroup TrainSettings::describe() {
  SettingGroup group{
      "model",
      {{"dim", "width of the learned vectors (not autoencoder)", &dim, 1, 4096},
       {"loss",
        "softmax over the whole catalog (not additive), pairwise ranking (factorization, additive, lightgcn), binary "
        "cross-entropy (factorization, additive, autoencoder), or softmax over a sample of the catalog (sasrec, gru, "
        "lstm)",
        &loss,
        {"softmax", "bpr", "bce", "sampled_softmax"}},
       {"epochs", "passes over the training purchases, at most", &epochs, 1, 1'000'000}}};
  const auto add = [&](const std::vector<Setting>& more) {
    group.settings.insert(group.settings.end(), more.begin(), more.end());
  };
  add(step.describe(
      ", of adamw 0.02 for softmax (lightgcn 0.05), 0.003 for bpr and bce, 0.001 for networks over histories (sasrec, "
      "gru, lstm) and autoencoder",
      ", 0.003 of adamw and 0 of the others"));
  add({{"validate_every",
        "epochs between two looks at the validation period; 0 takes the usual, 1 for networks over histories (sasrec, "
        "gru, lstm) and autoencoder and 5 for others",
        &validate_every, 0, 1'000'000},
       {"patience", "validations without a better NDCG before training stops; 0 never stops early", &patience, 0,
        1'000'000},
       {"item_features", "learn from the items' categorical fields, numbers and vectors as well (not autoencoder)",
        &item_features},
       {"batch", "bpr, bce: purchases of a training step (not autoencoder)", &batch, 1, 1 << 24},
       {"negatives", "bpr, bce: items drawn against each purchase", &negatives, 1, 1024},
       {"dropout", "bpr, bce: share of inputs set to zero in training (factorization, additive)", &dropout, 0.0, 0.95},
       {"weight_power", "bpr, bce: a purchase counts weight^this; 0: all alike", &weight_power, 0.0, 4.0},
       {"rare_power",
        "bpr, bce (not autoencoder): over- and undersampling; as many purchases as there are, drawn in proportion to "
        "(purchases of their item)^-this; 0: each once, 1: all items alike",
        &rare_power, 0.0, 2.0},
       {"negative_sampling", "bpr, bce: how negatives are drawn", &negative_sampling, {"uniform", "popularity"}},
       {"popularity_power", "negative_sampling popularity: in proportion to (purchases of the item)^this",
        &popularity_power, 0.0, 2.0},
       {"positive_weight",
        "bce: weight of a purchase against a negative; 0: balanced, as much as all its negatives together",
        &positive_weight, 0.0, 1e6}});
  return group;
}

double balanced_weight(double weight, int64_t negatives) {
  return weight > 0.0 ? weight : static_cast<double>(negatives);
}

TrainParams train_params(const TrainSettings& s, LossKind loss, double usual_learning_rate,
                         int64_t usual_validate_every) {
  TrainParams params;
  params.loss = loss;
  params.epochs = s.epochs;
  const bool mean_of_pairs = loss == LossKind::bpr || loss == LossKind::bce;
  if (mean_of_pairs && s.step.optimizer == "sgd") usual_learning_rate *= kSgdOfPairs;
  params.rule = s.step.rule(usual_learning_rate, kUsualWeightDecay, s.epochs);
  params.validate_every = s.validate_every > 0 ? s.validate_every : usual_validate_every;
  params.patience = s.patience;
  params.batch = s.batch;
  params.negatives = s.negatives;
  params.dropout = static_cast<float>(s.dropout);
  params.positive_weight = static_cast<float>(balanced_weight(s.positive_weight, s.negatives));
  params.rare_power = static_cast<float>(s.rare_power);
  params.popularity_power = static_cast<float>(s.popularity_power);
  params.weight_power = static_cast<float>(s.weight_power);
  params.popularity_negatives = s.negative_sampling == "popularity";
  return params;
}

}  // namespace sheaf
