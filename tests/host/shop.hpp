#pragma once
/// A small shop with a trained model, for tests of what people read.

#include "host/app/training.hpp"

namespace sheaf::app {

/// 60 weeks of 12 users who buy two of their three items each week, and now and then another.
inline data::Prepared weekly_shop(uint8_t last_split) {
  data::Prepared shop;
  shop.name = "shop";
  shop.currency = "EUR";
  shop.n_users = 12;
  shop.n_items = 8;
  for (int32_t week = 0; week < 60; ++week) {
    for (int32_t u = 0; u < 12; ++u) {
      for (int32_t line = 0; line < 2; ++line) {
        shop.user.push_back(u);
        shop.item.push_back((u + (week + line) % 3 + (week % 7 == 0 ? 3 : 0)) % 8);
        shop.basket.push_back(12 * week + u);
        shop.timestamp.push_back(int64_t{7 * 86400} * week);
        shop.quantity.push_back(1.0f);
        shop.price.push_back(1.0f);
        shop.discount.push_back(0.0f);
        shop.split.push_back(week >= 56 ? last_split : data::kTrain);
      }
    }
  }
  shop.n_baskets = 60 * 12;
  for (int i = 0; i < 12; ++i) shop.user_ids.push_back("u" + std::to_string(100 + i));
  for (int i = 0; i < 8; ++i) {
    shop.item_ids.push_back("i" + std::to_string(i));
    shop.item_names.push_back("item " + std::to_string(i));
  }
  shop.category_names.push_back("all");
  shop.item_category.assign(8, 0);
  shop.item_price.assign(8, 1.0f);
  return shop;
}

inline config::Config quick() {
  config::Config config;
  config.set("model.dim=8");
  config.set("model.epochs=20");
  config.search.min_categories = 1;
  return config;
}

/// A session with a trained model.
struct ShopRun {
  explicit ShopRun(const config::Config& config, uint8_t last_weeks = data::kValidation)
      : session(context, config, weekly_shop(last_weeks)), training(train_model(session)) {}
  Context context;
  Session session;
  Training training;
};

}  // namespace sheaf::app
