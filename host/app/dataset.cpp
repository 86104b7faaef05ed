#include "host/app/dataset.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace sheaf::app {
namespace {

using data::Prepared;

/// The lines of one period.
struct Lines {
  std::vector<int32_t> user, item;
};

Lines lines_of(const Prepared& prepared, uint8_t split) {
  Lines lines;
  for (size_t i = 0; i < prepared.user.size(); ++i) {
    if (prepared.split[i] != split) continue;
    lines.user.push_back(prepared.user[i]);
    lines.item.push_back(prepared.item[i]);
  }
  return lines;
}

HostCsr pattern_of(const Prepared& prepared, uint8_t split) {
  const Lines lines = lines_of(prepared, split);
  return csr_from_pairs(lines.user, lines.item, {}, prepared.n_users, prepared.n_items);
}

std::vector<float> recency_weights(const Prepared& prepared, double recency_days) {
  constexpr double kSecondsPerDay = 86400.0;
  int64_t last = std::numeric_limits<int64_t>::min();
  for (size_t i = 0; i < prepared.user.size(); ++i) {
    if (prepared.split[i] == data::kTrain) last = std::max(last, prepared.timestamp[i]);
  }
  std::vector<float> weights;
  for (size_t i = 0; i < prepared.user.size(); ++i) {
    if (prepared.split[i] != data::kTrain) continue;
    const double age = static_cast<double>(last - prepared.timestamp[i]) / kSecondsPerDay;
    weights.push_back(recency_days > 0 ? static_cast<float>(std::exp(-age / recency_days)) : 1.0f);
  }
  return weights;
}

struct Baskets {
  HostCsr items;              // [n_baskets, n_items] pattern
  std::vector<int32_t> user;  // [n_baskets]
  std::vector<int64_t> time;  // [n_baskets] of the first line
};

/// Baskets that have a line in the period, numbered anew.
Baskets baskets_of(const Prepared& prepared, uint8_t split) {
  std::vector<int32_t> number(static_cast<size_t>(prepared.n_baskets), -1);
  std::vector<int32_t> basket, item;
  Baskets found;
  for (size_t i = 0; i < prepared.user.size(); ++i) {
    if (prepared.split[i] != split) continue;
    int32_t& own = number[static_cast<size_t>(prepared.basket[i])];
    if (own < 0) {
      own = static_cast<int32_t>(found.user.size());
      found.user.push_back(prepared.user[i]);
      found.time.push_back(prepared.timestamp[i]);
    }
    basket.push_back(own);
    item.push_back(prepared.item[i]);
  }
  found.items = csr_from_pairs(basket, item, {}, std::ssize(found.user), prepared.n_items);
  return found;
}

/// The training lines of every user, oldest first; those of a basket together, where its first line is.
History train_history(const Prepared& prepared) {
  struct Line {
    size_t first;  // line of its basket
    size_t line;
  };
  std::vector<std::vector<Line>> of_user(static_cast<size_t>(prepared.n_users));
  std::vector<size_t> first_line(static_cast<size_t>(prepared.n_baskets), std::numeric_limits<size_t>::max());
  for (size_t i = 0; i < prepared.user.size(); ++i) {
    if (prepared.split[i] != data::kTrain) continue;
    size_t& first = first_line[static_cast<size_t>(prepared.basket[i])];
    first = std::min(first, i);
    of_user[static_cast<size_t>(prepared.user[i])].push_back({first, i});
  }
  History history;
  for (std::vector<Line>& lines : of_user) {
    std::ranges::stable_sort(lines, {}, &Line::first);
    for (const Line& line : lines) {
      history.items.push_back(prepared.item[line.line]);
      history.baskets.push_back(prepared.basket[line.line]);
    }
    history.offsets.push_back(std::ssize(history.items));
  }
  return history;
}

/// The numbers that tell items apart: without prices log_price is 0 throughout.
ItemNumbers numbers_of(const Prepared& prepared) {
  const size_t n = prepared.numeric_names.size();
  const auto at = [&](int64_t i, size_t f) { return prepared.item_numeric[static_cast<size_t>(i) * n + f]; };
  std::vector<size_t> told;
  for (size_t f = 0; f < n; ++f) {
    for (int64_t i = 0; i < prepared.n_items; ++i) {
      if (at(i, f) == 0.0f) continue;
      told.push_back(f);
      break;
    }
  }
  ItemNumbers numbers{std::ssize(told)};
  for (int64_t i = 0; i < prepared.n_items; ++i) {
    for (const size_t f : told) numbers.values.push_back(at(i, f));
  }
  return numbers;
}

}  // namespace

Catalog make_catalog(const Prepared& prepared) {
  Catalog catalog;
  catalog.n_items = prepared.n_items;
  catalog.price = prepared.item_price;
  catalog.category = prepared.item_category;
  for (const auto& field : prepared.categorical) {
    catalog.fields.push_back({field.name, static_cast<int32_t>(field.values.size()), field.codes});
  }
  catalog.numbers = numbers_of(prepared);
  catalog.vectors = {prepared.vector_dim, prepared.item_vectors};
  return catalog;
}

Prepared with_later_lines(const Prepared& prepared, bool test_too) {
  Prepared later = prepared;
  for (uint8_t& split : later.split) {
    if (split == data::kValidation || (test_too && split == data::kTest)) split = data::kTrain;
  }
  return later;
}

Purchases make_purchases(const Prepared& prepared, double recency_days) {
  Purchases purchases;
  const Lines train = lines_of(prepared, data::kTrain);
  const std::vector<float> weights = recency_weights(prepared, recency_days);
  const std::vector<float> ones(train.user.size(), 1.0f);
  purchases.train = csr_from_pairs(train.user, train.item, weights, prepared.n_users, prepared.n_items);
  purchases.train_counts = csr_from_pairs(train.user, train.item, ones, prepared.n_users, prepared.n_items);
  purchases.validation = pattern_of(prepared, data::kValidation);
  purchases.test = pattern_of(prepared, data::kTest);
  purchases.train_history = train_history(prepared);
  const auto put = [&](uint8_t split, HostCsr& items, std::vector<int32_t>& user, std::vector<int64_t>& time) {
    Baskets found = baskets_of(prepared, split);
    items = std::move(found.items);
    user = std::move(found.user);
    time = std::move(found.time);
  };
  put(data::kTrain, purchases.train_baskets, purchases.train_basket_user, purchases.train_basket_time);
  put(data::kValidation, purchases.validation_baskets, purchases.validation_basket_user,
      purchases.validation_basket_time);
  put(data::kTest, purchases.test_baskets, purchases.test_basket_user, purchases.test_basket_time);
  return purchases;
}

std::vector<int32_t> all_ids(int64_t n) {
  std::vector<int32_t> ids(static_cast<size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

}  // namespace sheaf::app
