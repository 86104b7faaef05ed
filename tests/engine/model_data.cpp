#include "tests/engine/model_data.hpp"

namespace sheaf::test {

ModelData::ModelData() : planted_(planted(4)) {
  purchases.train = planted_.train;
  purchases.train_counts = planted_.train;
  purchases.validation = planted_.validation;
  std::vector<int32_t> baskets, items;
  for (int64_t u = 0; u < Planted::n_users; ++u) {
    for (const int32_t item : planted_.train.row(u)) {
      const auto basket = static_cast<int32_t>(purchases.train_basket_user.size());
      baskets.push_back(basket);
      items.push_back(item);
      purchases.train_basket_user.push_back(static_cast<int32_t>(u));
      purchases.train_basket_time.push_back(int64_t{86400} * (basket % 50));
      purchases.train_history.items.push_back(item);
      purchases.train_history.baskets.push_back(basket);
    }
    purchases.train_history.offsets.push_back(std::ssize(purchases.train_history.items));
  }
  purchases.train_baskets =
      csr_from_pairs(baskets, items, {}, std::ssize(purchases.train_basket_user), Planted::n_items);
}

SettingValues quick_settings() {
  return {{"model.dim", int64_t{8}},
          {"model.epochs", int64_t{4}},
          {"model.validate_every", int64_t{2}},
          {"sasrec.layers", int64_t{1}},
          {"sasrec.max_length", int64_t{16}},
          {"sasrec.feed_forward", int64_t{8}},
          {"sasrec.batch", int64_t{40}},
          {"sasrec.horizon", int64_t{3}},
          {"fusion.hidden", std::string("8")},
          {"fusion.windows", int64_t{1}},
          {"fusion.epochs", int64_t{4}},
          {"fusion.negatives", int64_t{4}},
          {"fusion.candidates", int64_t{8}},
          {"als.dim", int64_t{8}},
          {"als.sweeps", int64_t{3}},
          {"als.l2", 3.0},
          {"svd.dim", int64_t{4}},
          {"autoencoder.hidden", std::string("8")},
          {"autoencoder.batch", int64_t{20}},
          {"gru.layers", int64_t{1}},
          {"gru.max_length", int64_t{16}},
          {"gru.batch", int64_t{40}},
          {"gru.horizon", int64_t{3}},
          {"lstm.layers", int64_t{1}},
          {"lstm.max_length", int64_t{16}},
          {"lstm.batch", int64_t{40}},
          {"lstm.horizon", int64_t{3}}};
}

std::unique_ptr<Recommender> quick_model(std::string_view name) {
  std::unique_ptr<Recommender> model = make_recommender(name);
  SettingValues settings = quick_settings();
  if (name == "additive") settings["model.loss"] = std::string("bpr");
  apply_settings(model->settings(), settings);
  return model;
}

std::vector<float> float_values(const Recommender& model) {
  std::vector<float> all;
  for (const NamedTensor& tensor : model.tensors()) {
    const auto* values = std::get_if<std::vector<float>>(&tensor.values);
    if (values != nullptr) all.insert(all.end(), values->begin(), values->end());
  }
  return all;
}

}  // namespace sheaf::test
