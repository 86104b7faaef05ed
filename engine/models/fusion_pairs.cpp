#include "engine/models/fusion_pairs.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/models/registry.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/philox.hpp"
#include "kernels/dense/gather_scores.hpp"
#include "kernels/dense/row_topk.hpp"

namespace sheaf {
namespace {

constexpr double kMemberHalfLife = 60.0;  // days, of the weights of purchases that members learn from

/// What each user has bought up to `day`.
HostCsr own_items(const BasketHistory& history, double day) {
  std::vector<int32_t> users, items;
  for (int64_t b = 0; b < history.n_baskets(); ++b) {
    if (history.day(b) > day) continue;
    for (const int32_t item : history.items.row(b)) {
      users.push_back(history.user[static_cast<size_t>(b)]);
      items.push_back(item);
    }
  }
  return csr_from_pairs(users, items, {}, history.n_users, history.items.n_columns);
}

/// Calls f(first, scores [n, n_items]) with the scores of people first .. first + n - 1 on the device.
template <class F>
void for_each_tile(Context& context, const Scorer& scorer, const FusionPeople& people, F&& f) {
  const int64_t n_items = scorer.n_items();
  const int64_t tile = std::clamp<int64_t>(scorer.tile_scores / std::max<int64_t>(1, n_items), 1, 1024);
  Buffer<float> scores(context, std::min(tile, people.history.n_users) * n_items);
  for (int64_t first = 0; first < people.history.n_users; first += tile) {
    check_interrupt("the scores of the models that are fused");
    const int64_t n = std::min(tile, people.history.n_users - first);
    scorer.all_scores(context, people.queries, people.first + first, scores.matrix(n, n_items));
    f(first, MatrixView<const float>(scores.matrix(n, n_items)));
  }
}

/// The best new items of each person by one member, added to `users` and `items`.
void add_new_items(Context& context, const Scorer& scorer, const FusionPeople& people, const HostCsr& own,
                   int64_t n_new, std::vector<int32_t>& users, std::vector<int32_t>& items) {
  const int64_t k = std::min({n_new, scorer.n_items(), int64_t{256}});
  if (k < 1) return;
  for_each_tile(context, scorer, people, [&](int64_t first, MatrixView<const float> scores) {
    const DeviceCsr exclude(context, row_block(own, first, scores.rows));
    Buffer<int32_t> best(context, scores.rows * k);
    Buffer<float> best_scores(context, scores.rows * k);
    dense::row_topk(context, {.scores = scores,
                              .exclude = exclude.view(),
                              .top_items = best.matrix(scores.rows, k),
                              .top_scores = best_scores.matrix(scores.rows, k)});
    const std::vector<int32_t> found = best.to_host();
    for (size_t at = 0; at < found.size(); ++at) {
      if (found[at] < 0) continue;
      users.push_back(static_cast<int32_t>(first + static_cast<int64_t>(at) / k));
      items.push_back(found[at]);
    }
  });
}

/// The member's scores of all pairs, into column `column` of x.
void put_scores(Context& context, const Scorer& scorer, const FusionPeople& people, int64_t column, FusionPairs& of) {
  for_each_tile(context, scorer, people, [&](int64_t first, MatrixView<const float> scores) {
    int64_t longest = 1;
    for (int64_t u = first; u < first + scores.rows; ++u) longest = std::max(longest, std::ssize(of.pairs.row(u)));
    std::vector<int32_t> items(static_cast<size_t>(scores.rows * longest), 0);  // padded with item 0
    for (int64_t u = first; u < first + scores.rows; ++u) {
      std::ranges::copy(of.pairs.row(u), items.begin() + (u - first) * longest);
    }
    const Buffer<int32_t> device_items(context, items);
    Buffer<float> device_out(context, scores.rows * longest);
    dense::gather_scores(context,
                         {scores, device_items.matrix(scores.rows, longest), device_out.matrix(scores.rows, longest)});
    const std::vector<float> out = device_out.to_host();
    for (int64_t u = first; u < first + scores.rows; ++u) {
      const int64_t begin = of.pairs.row_offsets[static_cast<size_t>(u)], n = std::ssize(of.pairs.row(u));
      for (int64_t e = 0; e < n; ++e) {
        of.x[static_cast<size_t>((begin + e) * of.width + column)] =
            out[static_cast<size_t>((u - first) * longest + e)];
      }
    }
  });
}

FusionWindow hidden_fifth(const BasketHistory& history, uint64_t seed, uint32_t fold) {
  constexpr uint32_t kShare = 5;
  FusionWindow window;
  window.known.n_users = history.n_users;
  window.known.items.n_columns = history.items.n_columns;
  window.day = history.last_day();
  std::vector<int32_t> users, items;
  for (int64_t b = 0; b < history.n_baskets(); ++b) {
    const int32_t user = history.user[static_cast<size_t>(b)];
    const auto before = window.known.items.nnz();
    for (const int32_t item : history.items.row(b)) {
      const uint32_t draw =
          random_u32({seed, Purpose::split, 1}, static_cast<uint64_t>(user), static_cast<uint64_t>(item));
      if (draw % kShare == fold) {
        users.push_back(user);
        items.push_back(item);
      } else {
        window.known.items.columns.push_back(item);
      }
    }
    if (window.known.items.nnz() == before) continue;
    window.known.items.row_offsets.push_back(window.known.items.nnz());
    window.known.user.push_back(user);
    window.known.time.push_back(history.time[static_cast<size_t>(b)]);
  }
  window.bought = csr_from_pairs(users, items, {}, history.n_users, history.items.n_columns);
  return window;
}

}  // namespace

FusionMembers FusionMembers::fitted(Context& context, const std::vector<std::string>& names,
                                    const BasketHistory& history, const Catalog& catalog, const FitOptions& options) {
  FusionMembers members;
  const Purchases purchases = as_training(history, kMemberHalfLife);
  for (const std::string& name : names) {
    std::shared_ptr<Recommender> model = make_recommender(name);
    model->fit(context, {history.n_users, catalog, purchases},
               {.seed = options.seed, .long_epoch = options.long_epoch});
    members.scorers.push_back(model->scorer(context));
    members.models.push_back(std::move(model));
  }
  return members;
}

FusionPairs fusion_pairs(Context& context, const FusionPeople& people, std::span<const int32_t> category,
                         const ItemHabits* items, const FusionMembers& members, int64_t n_new) {
  const HostCsr own = own_items(people.history, people.day);
  std::vector<int32_t> users, found;
  for (int64_t u = 0; u < own.n_rows(); ++u) {
    users.insert(users.end(), own.row(u).size(), static_cast<int32_t>(u));
    found.insert(found.end(), own.row(u).begin(), own.row(u).end());
  }
  for (const auto& scorer : members.scorers) add_new_items(context, *scorer, people, own, n_new, users, found);
  FusionPairs of;
  of.pairs = csr_from_pairs(users, found, {}, own.n_rows(), own.n_columns);
  of.width = static_cast<int64_t>(kPairFeatures) + std::ssize(members.scorers);
  of.x.resize(static_cast<size_t>(of.pairs.nnz() * of.width));
  const HabitFeatures habits(context, {.history = people.history,
                                       .category = category,
                                       .day = people.day,
                                       .items = items,
                                       .pairs = &of.pairs,
                                       .neighbours = false});
  for (size_t e = 0; e < habits.x.size(); ++e) {
    std::ranges::copy(habits.x[e], of.x.begin() + static_cast<int64_t>(e) * of.width);
  }
  int64_t column = kPairFeatures;
  for (const auto& scorer : members.scorers) put_scores(context, *scorer, people, column++, of);
  return of;
}

std::vector<FusionWindow> fusion_windows(const BasketHistory& history, double period_days, int64_t n, uint64_t seed) {
  std::vector<FusionWindow> windows;
  const double last = history.last_day(), first = history.first_day();
  for (int64_t w = 0; w < n; ++w) {
    const double to = last - period_days * static_cast<double>(w), from = to - period_days;
    if (from - first < period_days) break;
    FusionWindow window;
    window.known = until(history, from);
    window.day = from;
    std::vector<int32_t> users, items;
    for (int64_t b = 0; b < history.n_baskets(); ++b) {
      if (history.day(b) <= from || history.day(b) > to) continue;
      for (const int32_t item : history.items.row(b)) {
        users.push_back(history.user[static_cast<size_t>(b)]);
        items.push_back(item);
      }
    }
    window.bought = csr_from_pairs(users, items, {}, history.n_users, history.items.n_columns);
    windows.push_back(std::move(window));
  }
  if (windows.empty()) {
    for (const uint32_t fold : {0u, 1u}) {
      FusionWindow window = hidden_fifth(history, seed, fold);
      if (window.known.items.nnz() > 0 && window.bought.nnz() > 0) windows.push_back(std::move(window));
    }
  }
  return windows;
}

}  // namespace sheaf
