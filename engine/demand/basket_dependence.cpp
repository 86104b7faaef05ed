#include "engine/demand/basket_dependence.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/core/interrupt.hpp"

namespace sheaf {
namespace {

constexpr int64_t kMaxCategories = 1024;
constexpr int64_t kUserItems = 20;  // likeliest items of a user, whose pairs the exponent is fitted on

HostCsr csr_of(PairCounts& counts) {
  HostCsr csr;
  csr.row_offsets = std::move(counts.row_offsets);
  csr.columns = std::move(counts.companions);
  csr.values.assign(counts.counts.begin(), counts.counts.end());
  csr.n_columns = std::ssize(counts.item_counts);
  counts.counts = {};
  return csr;
}

float entry(const HostCsr& csr, int32_t row, int32_t column) {
  const auto columns = csr.row(row);
  const auto at = std::ranges::lower_bound(columns, column);
  if (at == columns.end() || *at != column) return 0.0f;
  return csr.values[static_cast<size_t>(csr.row_offsets[static_cast<size_t>(row)] + (at - columns.begin()))];
}

/// The items that most baskets hold.
std::vector<int32_t> most_frequent(std::span<const float> frequency, int64_t count) {
  std::vector<int32_t> items(frequency.size());
  std::iota(items.begin(), items.end(), 0);
  std::ranges::stable_sort(items, std::ranges::greater{}, [&](int32_t i) { return frequency[static_cast<size_t>(i)]; });
  items.resize(std::min(items.size(), static_cast<size_t>(count)));
  std::erase_if(items, [&](int32_t i) { return frequency[static_cast<size_t>(i)] <= 0.0f; });
  return items;
}

/// One pair of items to learn from: its counted baskets, those expected by independence, the prior by categories, the
/// cosine.
struct Pair {
  double count, expected, prior, cosine;
};

std::vector<Pair> pairs_of(const BasketDependence& d, std::span<const float> vectors, int64_t dim) {
  const std::vector<int32_t> items = most_frequent(d.frequency, kFitItems);
  std::vector<Pair> pairs;
  for (size_t a = 0; a < items.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      const int32_t i = items[a], j = items[b];
      const auto at = [&](int32_t item) { return static_cast<double>(d.frequency[static_cast<size_t>(item)]); };
      const auto code = [&](int32_t item) { return d.category[static_cast<size_t>(item)]; };
      const double prior =
          d.prior.empty() ? 1.0 : static_cast<double>(d.prior[static_cast<size_t>(code(i) * d.n_categories + code(j))]);
      pairs.push_back(
          {static_cast<double>(entry(d.counts, i, j)), at(i) * at(j), prior, cosine_of(vectors, dim, i, j)});
    }
  }
  return pairs;
}

/// The most likely coefficient of the cosine, by Newton's method on a Poisson likelihood.
double fit_cosine(const std::vector<Pair>& pairs) {
  constexpr double kRidge = 1.0, kLargest = 8.0;
  double theta = 0.0;
  for (int step = 0; step < 50; ++step) {
    double gradient = -kRidge * theta, curvature = kRidge;
    for (const Pair& p : pairs) {
      const double mean = p.expected * p.prior * std::exp(theta * p.cosine);
      gradient += (p.count - mean) * p.cosine;
      curvature += mean * p.cosine * p.cosine;
    }
    const double change = std::clamp(gradient / curvature, -1.0, 1.0);
    theta = std::clamp(theta + change, -kLargest, kLargest);
    if (std::abs(change) < 1e-6) break;
  }
  return theta;
}

/// Negative binomial log-likelihood of the counts, less what does not depend on k.
double likelihood(const std::vector<Pair>& pairs, double k, double theta) {
  double sum = 0.0;
  for (const Pair& p : pairs) {
    const double shape = k * p.prior * std::exp(theta * p.cosine);
    sum += std::lgamma(p.count + shape) - std::lgamma(shape) + shape * std::log(k / (k + p.expected)) -
           p.count * std::log(k + p.expected);
  }
  return sum;
}

void fit_categories(BasketDependence& d) {
  const auto n = static_cast<size_t>(d.n_categories);
  std::vector<double> counted(n * n, 0.0), expected(n * n, 0.0), sums(n, 0.0);
  const auto code = [&](int32_t item) { return static_cast<size_t>(d.category[static_cast<size_t>(item)]); };
  for (int32_t i = 0; i < std::ssize(d.frequency); ++i) {
    const auto f = static_cast<double>(d.frequency[static_cast<size_t>(i)]);
    sums[code(i)] += f;
    expected[code(i) * n + code(i)] -= f * f;  // an item makes no pair with itself
    const auto first = static_cast<size_t>(d.counts.row_offsets[static_cast<size_t>(i)]);
    const auto row = d.counts.row(i);
    for (size_t e = 0; e < row.size(); ++e) {
      counted[code(i) * n + code(row[e])] += static_cast<double>(d.counts.values[first + e]);
    }
  }
  d.prior.resize(n * n);
  for (size_t a = 0; a < n; ++a) {
    for (size_t b = 0; b < n; ++b) {
      const double e = std::max(0.0, expected[a * n + b] + sums[a] * sums[b]);
      d.prior[a * n + b] = static_cast<float>((counted[a * n + b] + kPriorBaskets) / (e + kPriorBaskets));
    }
  }
}

}  // namespace

double cosine_of(std::span<const float> vectors, int64_t dim, int32_t i, int32_t j) {
  if (vectors.empty()) return 0.0;
  const auto a = vectors.subspan(static_cast<size_t>(i * dim), static_cast<size_t>(dim));
  const auto b = vectors.subspan(static_cast<size_t>(j * dim), static_cast<size_t>(dim));
  double ab = 0.0, aa = 0.0, bb = 0.0;
  for (size_t c = 0; c < a.size(); ++c) {
    const auto x = static_cast<double>(a[c]), y = static_cast<double>(b[c]);
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa > 0.0 && bb > 0.0 ? std::max(0.0, ab / std::sqrt(aa * bb)) : 0.0;
}

double BasketDependence::ratio(int32_t i, int32_t j, double cosine) const {
  double m = std::exp(static_cast<double>(prior_cosine) * cosine);
  if (!prior.empty()) {
    const int64_t a = category[static_cast<size_t>(i)], b = category[static_cast<size_t>(j)];
    m *= static_cast<double>(prior[static_cast<size_t>(a * n_categories + b)]);
  }
  const auto k = static_cast<double>(prior_strength);
  const double expected =
      static_cast<double>(frequency[static_cast<size_t>(i)]) * static_cast<double>(frequency[static_cast<size_t>(j)]);
  return (static_cast<double>(entry(counts, i, j)) + k * m) / (expected + k);
}

double BasketDependence::user_rho(int32_t i, int32_t j, double cosine) const {
  return std::exp(static_cast<double>(user_offset)) * std::pow(ratio(i, j, cosine), static_cast<double>(user_exponent));
}

BasketDependence fit_dependence(PairCounts counts, std::span<const int32_t> category, std::span<const float> vectors,
                                int64_t dim) {
  BasketDependence d;
  d.counts = csr_of(counts);
  d.category.assign(category.begin(), category.end());
  d.n_categories = category.empty() ? 0 : int64_t{*std::ranges::max_element(category)} + 1;
  const double scale = counts.n_baskets > 0 ? 1.0 / std::sqrt(static_cast<double>(counts.n_baskets)) : 0.0;
  for (const int32_t n : counts.item_counts) d.frequency.push_back(static_cast<float>(n * scale));
  if (d.n_categories > 1 && d.n_categories <= kMaxCategories) fit_categories(d);
  const std::vector<Pair> pairs = pairs_of(d, vectors, dim);
  if (pairs.empty()) return d;
  const double theta = vectors.empty() ? 0.0 : fit_cosine(pairs);
  double best = -std::numeric_limits<double>::infinity();
  for (const double k : {0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 35.0, 60.0, 100.0}) {
    const double found = likelihood(pairs, k, theta);
    if (found <= best) continue;
    best = found;
    d.prior_strength = static_cast<float>(k);
  }
  d.prior_cosine = static_cast<float>(theta);
  return d;
}

void fit_user_dependence(Context& context, const BasketHistory& history, const HabitModel& habits,
                         const HabitParams& params, std::span<const float> vectors, int64_t dim,
                         BasketDependence& dependence) {
  if (!habits.fitted) return;
  const double to = history.last_day(), from = to - params.period_days, day = from - params.gap_days;
  const BasketHistory before = until(history, day);
  const BasketChances chances = basket_chances(context, before, dependence.category, habits, day, params.period_days);
  BasketDependence early = fit_dependence(count_pairs(context, before.items, 1), dependence.category, vectors, dim);
  // Of each user the likeliest items, and how many baskets of the period hold each pair of them.
  struct Likely {
    std::vector<std::pair<int32_t, double>> items;  // ascending
    std::vector<double> both;                       // [items, items], the lower half
    double n = 0.0;
  };
  std::vector<Likely> users(static_cast<size_t>(history.n_users));
  for (int64_t u = 0; u < history.n_users; ++u) {
    const auto own = chances.own.row(u);
    const auto first = static_cast<size_t>(chances.own.row_offsets[static_cast<size_t>(u)]);
    auto& items = users[static_cast<size_t>(u)].items;
    for (size_t e = 0; e < own.size(); ++e) {
      items.emplace_back(own[e], static_cast<double>(chances.own.values[first + e]));
    }
    std::ranges::stable_sort(items, std::ranges::greater{}, &std::pair<int32_t, double>::second);
    items.resize(std::min(items.size(), static_cast<size_t>(kUserItems)));
    std::ranges::sort(items);
    users[static_cast<size_t>(u)].both.assign(items.size() * items.size(), 0.0);
  }
  for (int64_t b = 0; b < history.n_baskets(); ++b) {
    const double at = history.day(b);
    if (at <= from || at > to) continue;
    Likely& user = users[static_cast<size_t>(history.user[static_cast<size_t>(b)])];
    user.n += 1.0;
    const auto row = history.items.row(b);
    std::vector<size_t> held;
    for (size_t m = 0; m < user.items.size(); ++m) {
      if (std::ranges::binary_search(row, user.items[m].first)) held.push_back(m);
    }
    for (const size_t x : held) {
      for (const size_t y : held) user.both[x * user.items.size() + y] += x > y ? 1.0 : 0.0;
    }
  }
  struct Sample {
    double count, expected, log_ratio;
  };
  std::vector<Sample> samples;
  for (const Likely& user : users) {
    for (size_t x = 0; x < user.items.size() && user.n > 0.0; ++x) {
      for (size_t y = 0; y < x; ++y) {
        const auto [i, p] = user.items[x];
        const auto [j, q] = user.items[y];
        samples.push_back({user.both[x * user.items.size() + y], user.n * p * q,
                           std::log(early.ratio(i, j, cosine_of(vectors, dim, i, j)))});
      }
    }
  }
  // Poisson: count ~ expected * exp(offset + exponent * log_ratio), with a weak pull to offset 0 and exponent 1.
  constexpr double kRidge = 10.0;
  double offset = 0.0, exponent = 1.0;
  for (int step = 0; step < 50; ++step) {
    check_interrupt("the fit of the dependence");
    std::array<double, 2> g{-kRidge * offset, -kRidge * (exponent - 1.0)};
    std::array<double, 3> h{kRidge, 0.0, kRidge};
    for (const Sample& s : samples) {
      const double mean = s.expected * std::exp(offset + exponent * s.log_ratio);
      g[0] += s.count - mean;
      g[1] += (s.count - mean) * s.log_ratio;
      h[0] += mean;
      h[1] += mean * s.log_ratio;
      h[2] += mean * s.log_ratio * s.log_ratio;
    }
    const double determinant = h[0] * h[2] - h[1] * h[1];
    const double d_offset = std::clamp((g[0] * h[2] - g[1] * h[1]) / determinant, -0.5, 0.5);
    const double d_exponent = std::clamp((g[1] * h[0] - g[0] * h[1]) / determinant, -0.5, 0.5);
    offset = std::clamp(offset + d_offset, -3.0, 3.0);
    exponent = std::clamp(exponent + d_exponent, 0.0, 2.0);
    if (std::abs(d_offset) + std::abs(d_exponent) < 1e-7) break;
  }
  dependence.user_offset = static_cast<float>(offset);
  dependence.user_exponent = static_cast<float>(exponent);
}

DependenceGain judge_dependence(Context& context, const BasketDependence& dependence, const HostCsr& baskets,
                                std::span<const float> vectors, int64_t dim) {
  const PairCounts later = count_pairs(context, baskets, 1);
  std::vector<float> frequency(later.item_counts.begin(), later.item_counts.end());
  const std::vector<int32_t> items = most_frequent(frequency, kFitItems);
  DependenceGain gain;
  BasketDependence prior_only = dependence;
  prior_only.prior_strength = 1e12f;  // m alone
  for (size_t a = 0; a < items.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      const int32_t i = items[a], j = items[b];
      const double expected = static_cast<double>(frequency[static_cast<size_t>(i)]) *
                              static_cast<double>(frequency[static_cast<size_t>(j)]) /
                              static_cast<double>(later.n_baskets);
      const double count = later.count(i, j), cosine = cosine_of(vectors, dim, i, j);
      const auto above_independence = [&](double rho) { return count * std::log(rho) - expected * (rho - 1.0); };
      gain.prior += above_independence(prior_only.ratio(i, j, cosine));
      gain.ratio += above_independence(dependence.ratio(i, j, cosine));
      ++gain.n_pairs;
    }
  }
  if (gain.n_pairs > 0) {
    gain.prior /= static_cast<double>(gain.n_pairs);
    gain.ratio /= static_cast<double>(gain.n_pairs);
  }
  return gain;
}

}  // namespace sheaf
