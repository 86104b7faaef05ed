#include "engine/demand/basket_chances.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/demand/habit_features.hpp"
#include "engine/scoring/calibration.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/interrupt.hpp"
#include "kernels/core/parallel.hpp"
#include "kernels/core/philox.hpp"

namespace sheaf {
namespace {

constexpr int64_t kFewestPairs = 100;
constexpr size_t kColumns = kHabitFeatures + 1;  // with the constant
using Weights = std::array<double, kColumns>;

/// Of n baskets k held the item.
struct Example {
  std::array<float, kHabitFeatures> x;
  float k, n;
};

double sigmoid(double z) { return 1.0 / (1.0 + std::exp(-z)); }
double log1p_exp(double z) { return z > 0 ? z + std::log1p(std::exp(-z)) : std::log1p(std::exp(z)); }

double plain_rate(std::span<const float> x) { return sigmoid(static_cast<double>(x[kRate365])); }

/// Gradient and Hessian of the negative log likelihood, and its value.
struct Sums {
  double loss = 0.0;
  Weights gradient{};
  std::array<Weights, kColumns> hessian{};
};

/// Columns are centred and scaled, so that one ridge suits all.
struct Scaling {
  std::array<double, kHabitFeatures> mean{}, deviation{};
};

Scaling scaling_of(const std::vector<Example>& examples) {
  Scaling s;
  for (size_t c = 0; c < kHabitFeatures; ++c) {
    double sum = 0.0, squares = 0.0;
    for (const Example& e : examples) sum += static_cast<double>(e.x[c]);
    s.mean[c] = sum / static_cast<double>(examples.size());
    for (const Example& e : examples) {
      const double d = static_cast<double>(e.x[c]) - s.mean[c];
      squares += d * d;
    }
    s.deviation[c] = std::sqrt(squares / static_cast<double>(examples.size()));
    if (s.deviation[c] < 1e-6) s.deviation[c] = 1.0;
  }
  return s;
}

void standardise(Context& context, const Scaling& scaling, std::vector<Example>& examples) {
  parallel_for(context, std::ssize(examples), 16384, [&](int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e) {
      auto& x = examples[static_cast<size_t>(e)].x;
      for (size_t c = 0; c < kHabitFeatures; ++c) {
        x[c] = static_cast<float>((static_cast<double>(x[c]) - scaling.mean[c]) / scaling.deviation[c]);
      }
    }
  });
}

/// Of standardised examples.
Sums add_up(Context& context, const std::vector<Example>& examples, const Weights& w) {
  constexpr int64_t kGrain = 16384;
  const auto n = static_cast<int64_t>(examples.size());
  std::vector<Sums> parts(static_cast<size_t>((n + kGrain - 1) / kGrain));
  parallel_for(context, n, kGrain, [&](int64_t begin, int64_t end) {
    Sums& s = parts[static_cast<size_t>(begin / kGrain)];
    for (int64_t e = begin; e < end; ++e) {
      const Example& example = examples[static_cast<size_t>(e)];
      Weights x;
      for (size_t c = 0; c < kHabitFeatures; ++c) x[c] = static_cast<double>(example.x[c]);
      x[kHabitFeatures] = 1.0;
      const double z = std::inner_product(x.begin(), x.end(), w.begin(), 0.0);
      const auto k = static_cast<double>(example.k), total = static_cast<double>(example.n);
      const double p = sigmoid(z), d = total * p - k, h = total * p * (1.0 - p);
      s.loss += total * log1p_exp(z) - k * z;
      for (size_t i = 0; i < kColumns; ++i) {
        s.gradient[i] += d * x[i];
        for (size_t j = 0; j <= i; ++j) s.hessian[i][j] += h * x[i] * x[j];
      }
    }
  });
  Sums total;
  for (const Sums& s : parts) {
    total.loss += s.loss;
    for (size_t i = 0; i < kColumns; ++i) {
      total.gradient[i] += s.gradient[i];
      for (size_t j = 0; j <= i; ++j) total.hessian[i][j] += s.hessian[i][j];
    }
  }
  return total;
}

/// Solves h y = g for a symmetric positive definite h (its lower half) by Cholesky's decomposition.
Weights solve(std::array<Weights, kColumns> h, Weights g) {
  for (size_t i = 0; i < kColumns; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = h[i][j];
      for (size_t k = 0; k < j; ++k) sum -= h[i][k] * h[j][k];
      h[i][j] = i == j ? std::sqrt(sum) : sum / h[j][j];
    }
  }
  for (size_t i = 0; i < kColumns; ++i) {
    for (size_t k = 0; k < i; ++k) g[i] -= h[i][k] * g[k];
    g[i] /= h[i][i];
  }
  for (size_t i = kColumns; i-- > 0;) {
    for (size_t k = i + 1; k < kColumns; ++k) g[i] -= h[k][i] * g[k];
    g[i] /= h[i][i];
  }
  return g;
}

/// Newton's method with step halving on the likelihood less ridge / 2 * |w|^2 of all but the constant.
Weights maximise_likelihood(Context& context, const std::vector<Example>& examples) {
  constexpr double kRidge = 1.0;
  constexpr int kSteps = 30;
  double k = 0.0, n = 0.0;
  for (const Example& e : examples) {
    k += static_cast<double>(e.k);
    n += static_cast<double>(e.n);
  }
  Weights w{};
  w[kHabitFeatures] = std::log((k + 1.0) / (n - k + 1.0));
  const auto penalised = [&](Sums s, const Weights& at) {
    for (size_t c = 0; c < kHabitFeatures; ++c) {
      s.loss += 0.5 * kRidge * at[c] * at[c];
      s.gradient[c] += kRidge * at[c];
      s.hessian[c][c] += kRidge;
    }
    s.hessian[kHabitFeatures][kHabitFeatures] += 1e-9;
    return s;
  };
  Sums sums = penalised(add_up(context, examples, w), w);
  for (int step = 0; step < kSteps; ++step) {
    check_interrupt("the fit of the chances");
    const Weights direction = solve(sums.hessian, sums.gradient);
    Weights next{};
    Sums found;
    double rate = 1.0;
    for (; rate > 1e-6; rate /= 2) {
      for (size_t c = 0; c < kColumns; ++c) next[c] = w[c] - rate * direction[c];
      found = penalised(add_up(context, examples, next), next);
      if (found.loss < sums.loss) break;
    }
    if (!(found.loss < sums.loss)) break;
    const bool settled = sums.loss - found.loss < 1e-9 * sums.loss;
    w = next;
    sums = found;
    if (settled) break;
  }
  return w;
}

/// Every `keep_of`-th user by a hash, so that a large history is thinned evenly.
bool is_kept(int64_t user, int64_t keep_of) {
  return keep_of <= 1 ||
         random_u32({0, Purpose::evaluation, 1}, static_cast<uint64_t>(user), 0) % static_cast<uint64_t>(keep_of) == 0;
}

/// Adds the pairs of the window (from, to] as they were known at `day`.
void add_window(Context& context, const BasketHistory& history, std::span<const int32_t> category, double day,
                double from, double to, int64_t keep_of, std::vector<Example>& examples) {
  const HabitFeatures features(context, history, category, day);
  std::vector<float> n(static_cast<size_t>(history.n_users), 0.0f);
  std::vector<float> k(features.items.size(), 0.0f);
  for (int64_t b = 0; b < history.n_baskets(); ++b) {
    const double at = history.day(b);
    if (at <= from || at > to) continue;
    const auto user = static_cast<size_t>(history.user[static_cast<size_t>(b)]);
    n[user] += 1.0f;
    const auto own = features.row(static_cast<int64_t>(user));
    for (const int32_t item : history.items.row(b)) {
      const auto place = std::ranges::lower_bound(own, item);
      if (place == own.end() || *place != item) continue;
      k[static_cast<size_t>(features.offsets[user] + (place - own.begin()))] += 1.0f;
    }
  }
  for (int64_t u = 0; u < history.n_users; ++u) {
    if (n[static_cast<size_t>(u)] == 0.0f || !is_kept(u, keep_of)) continue;
    for (int64_t at = features.offsets[static_cast<size_t>(u)]; at < features.offsets[static_cast<size_t>(u) + 1];
         ++at) {
      Example& example = examples.emplace_back();
      std::copy_n(features.x[static_cast<size_t>(at)].begin(), kHabitFeatures, example.x.begin());
      example.k = k[static_cast<size_t>(at)];
      example.n = n[static_cast<size_t>(u)];
    }
  }
}

void check(const BasketHistory& history, std::span<const int32_t> category, double period_days) {
  if (std::ssize(history.user) != history.n_baskets() || std::ssize(history.time) != history.n_baskets() ||
      std::ssize(category) != history.items.n_columns) {
    throw UsageError("basket chances: users, days and baskets, or categories and items, differ in length",
                     "give one user and day a basket and one category an item");
  }
  if (!(std::isfinite(period_days) && period_days > 0.0)) {
    throw UsageError("basket chances: a period of " + std::to_string(period_days) + " days", "give a length above 0");
  }
}

}  // namespace

const std::array<const char*, kHabitFeatures>& HabitModel::names() {
  static const std::array<const char*, kHabitFeatures> names{"rate 14",  "rate 60", "rate 365",  "history", "count",
                                                             "category", "share",   "repeat",    "again",   "trend",
                                                             "age",      "overdue", "neighbours"};
  return names;
}

HabitModel fit_habits(Context& context, const BasketHistory& history, std::span<const int32_t> category,
                      const HabitParams& params) {
  check(history, category, params.period_days);
  if (!(std::isfinite(params.gap_days) && params.gap_days >= 0.0)) {
    throw UsageError("basket chances: a gap of " + std::to_string(params.gap_days) + " days", "give 0 or more");
  }
  HabitModel model;
  model.reason = "the history is too short for a period to learn from";
  if (history.n_baskets() == 0) return model;
  const double last = history.last_day(), first = history.first_day();
  const int64_t most = history.items.nnz() * std::max<int64_t>(1, params.windows);  // no fewer than the pairs
  const int64_t keep_of = most / std::max<int64_t>(1, params.max_pairs) + 1;
  std::vector<Example> examples;
  for (int64_t s = 0; s < params.windows; ++s) {
    const double to = last - params.period_days * static_cast<double>(s);
    const double from = to - params.period_days, day = from - params.gap_days;
    if (day - first < params.period_days) break;
    add_window(context, history, category, day, from, to, keep_of, examples);
    ++model.n_windows;
  }
  model.n_pairs = std::ssize(examples);
  const bool any_again = std::ranges::any_of(examples, [](const Example& e) { return e.k > 0.0f; });
  if (model.n_windows == 0) return model;
  if (model.n_pairs < kFewestPairs || !any_again) {
    model.reason = "too few purchases are repeated to learn from";
    return model;
  }
  double n = 0.0, rate_loss = 0.0;
  for (const Example& e : examples) {
    const double p = plain_rate(e.x);
    n += static_cast<double>(e.n);
    rate_loss -= static_cast<double>(e.k) * std::log(p) + static_cast<double>(e.n - e.k) * std::log1p(-p);
  }
  const Scaling scaling = scaling_of(examples);
  standardise(context, scaling, examples);
  const Weights w = maximise_likelihood(context, examples);
  model.bias = w[kHabitFeatures];
  for (size_t c = 0; c < kHabitFeatures; ++c) {
    model.weight[c] = w[c] / scaling.deviation[c];
    model.bias -= model.weight[c] * scaling.mean[c];
  }
  model.log_loss = add_up(context, examples, w).loss / n;
  model.rate_log_loss = rate_loss / n;
  model.fitted = true;
  model.reason.clear();
  return model;
}

double NewItemChance::of(double logit) const { return sigmoid(slope * logit + offset); }

NewItemChance fit_new_items(const BasketChances& chances, std::span<const int32_t> listed,
                            std::span<const float> logits, int64_t length, const BasketHistory& later) {
  const auto place_of = [&](int64_t user, int32_t item) {
    const auto row = listed.subspan(static_cast<size_t>(user * length), static_cast<size_t>(length));
    const auto at = std::ranges::find(row, item);
    return at == row.end() ? -1 : user * length + (at - row.begin());
  };
  std::vector<float> baskets(static_cast<size_t>(later.n_users), 0.0f), held(listed.size(), 0.0f);
  for (int64_t b = 0; b < later.n_baskets(); ++b) {
    const int64_t user = later.user[static_cast<size_t>(b)];
    baskets[static_cast<size_t>(user)] += 1.0f;
    for (const int32_t item : later.items.row(b)) {
      const int64_t place = place_of(user, item);
      if (place >= 0) held[static_cast<size_t>(place)] += 1.0f;
    }
  }
  std::vector<float> x, weight;
  std::vector<uint8_t> label;
  NewItemChance fitted;
  for (int64_t u = 0; u < later.n_users; ++u) {
    const float n = baskets[static_cast<size_t>(u)];
    for (int64_t at = u * length; n > 0.0f && at < (u + 1) * length; ++at) {
      const int32_t item = listed[static_cast<size_t>(at)];
      if (item < 0 || chances.own.contains(u, item)) continue;
      ++fitted.n_pairs;
      const float k = held[static_cast<size_t>(at)];
      for (const uint8_t held_it : {uint8_t{1}, uint8_t{0}}) {
        const float times = held_it != 0 ? k : n - k;
        if (times <= 0.0f) continue;
        x.push_back(logits[static_cast<size_t>(at)]);
        label.push_back(held_it);
        weight.push_back(times);
      }
    }
  }
  if (std::ranges::count(label, 1) == 0) return fitted;
  Calibration platt = fit_platt(x, label, weight);
  if (platt.slope < 0.0) {  // the logits say nothing of new items: the mean alone
    platt = fit_platt(std::vector<float>(x.size(), 0.0f), label, weight);
    platt.slope = 0.0;
  }
  fitted.slope = platt.slope;
  fitted.offset = platt.offset;
  return fitted;
}

BasketChances basket_chances(Context& context, const BasketHistory& history, std::span<const int32_t> category,
                             const HabitModel& model, double day, double period_days) {
  check(history, category, period_days);
  HabitFeatures features(context, history, category, day);
  BasketChances chances;
  chances.own.n_columns = history.items.n_columns;
  chances.own.values.resize(features.items.size());
  parallel_for(context, std::ssize(features.items), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      const auto& x = features.x[static_cast<size_t>(at)];
      double p = plain_rate(x);
      if (model.fitted) {
        double z = model.bias;
        for (size_t c = 0; c < kHabitFeatures; ++c) z += model.weight[c] * static_cast<double>(x[c]);
        p = sigmoid(z);
      }
      chances.own.values[static_cast<size_t>(at)] = static_cast<float>(p);
    }
  });
  chances.own.row_offsets = std::move(features.offsets);
  chances.own.columns = std::move(features.items);

  // Baskets a day of the last four periods, of each user and of the mean one.
  constexpr double kPeriods = 4.0;
  const double first = history.n_baskets() ? std::min(day, history.first_day()) : day;
  const double length = std::clamp(day - first, period_days, kPeriods * period_days);
  std::vector<double> baskets(static_cast<size_t>(history.n_users), 0.0);
  double all = 0.0;
  for (int64_t b = 0; b < history.n_baskets(); ++b) {
    const double at = history.day(b);
    if (at > day || at <= day - length) continue;
    baskets[static_cast<size_t>(history.user[static_cast<size_t>(b)])] += 1.0;
    all += 1.0;
  }
  const double mean = history.n_users ? all / static_cast<double>(history.n_users) : 0.0;
  for (const double n : baskets) {
    // One basket of the mean user's weight.
    const double rate = mean > 0.0 ? (n + 1.0) / (mean + 1.0) * mean : 0.0;
    chances.expected_baskets.push_back(static_cast<float>(rate * period_days / length));
  }
  return chances;
}

}  // namespace sheaf
