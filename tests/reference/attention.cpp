#include "tests/reference/attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sheaf::ref {
namespace {

/// To the nearest number with `bits` significant bits, of which the last is worth 2^least at least; ties to even.
double round_to(double x, int bits, int least) {
  if (x == 0.0 || !std::isfinite(x)) return x;
  int exponent;
  std::frexp(x, &exponent);
  const int unit = std::max(exponent - bits, least);
  return std::ldexp(std::nearbyint(std::ldexp(x, -unit)), unit);
}

struct Rounding {
  Arithmetic arithmetic;
  double sum(double x) const {
    return arithmetic == Arithmetic::exact ? x : static_cast<double>(static_cast<float>(x));
  }
  double store(double x) const { return to_stored(sum(x), arithmetic); }
  double factor(double x) const { return arithmetic == Arithmetic::tf32 ? round_to(x, 11, -1000) : x; }

  double product(const double* a, const double* b, int64_t n) const {
    double total = 0.0;
    for (int64_t c = 0; c < n; ++c) total = sum(total + sum(factor(a[c]) * factor(b[c])));
    return total;
  }
  void add(double* to, double weight, const double* x, int64_t n) const {
    for (int64_t c = 0; c < n; ++c) to[c] = sum(to[c] + sum(factor(weight) * factor(x[c])));
  }
};

struct Place {
  int64_t sequence, head, kv_head, first, length;
};

class Computation {
 public:
  Computation(const AttentionProblem& problem, const AttentionInputs& inputs, Arithmetic arithmetic)
      : p_(problem), in_(inputs), round_{arithmetic} {
    const auto size = [&](int64_t heads) { return static_cast<size_t>(p_.n_tokens() * heads * p_.dim); };
    r_.out.resize(size(p_.n_heads));
    r_.d_q.resize(size(p_.n_heads));
    r_.d_k.resize(size(p_.n_kv_heads));
    r_.d_v.resize(size(p_.n_kv_heads));
    r_.log_sum_exp.resize(static_cast<size_t>(p_.n_tokens() * p_.n_heads));
    r_.d_bias.resize(static_cast<size_t>(p_.n_heads * p_.bias_columns));
  }

  AttentionResults run() {
    const int64_t group = p_.n_heads / p_.n_kv_heads;
    for (size_t s = 0; s + 1 < p_.offsets.size(); ++s) {
      for (int64_t head = 0; head < p_.n_heads; ++head) {
        const Place place{static_cast<int64_t>(s), head, head / group, p_.offsets[s],
                          p_.offsets[s + 1] - p_.offsets[s]};
        for (int64_t i = 0; i < place.length; ++i) row(place, i);
      }
    }
    for (auto* values : {&r_.out, &r_.d_q, &r_.d_k, &r_.d_v}) {
      for (double& x : *values) x = round_.store(x);
    }
    return std::move(r_);
  }

 private:
  size_t at(int64_t token, int64_t head, int64_t n_heads) const {
    return static_cast<size_t>((token * n_heads + head) * p_.dim);
  }
  size_t bias_at(int64_t head, int64_t i, int64_t j) const {
    const int64_t radius = p_.bias_columns / 2;
    return static_cast<size_t>(head * p_.bias_columns + std::clamp(i - j, -radius, radius) + radius);
  }

  void row(const Place& place, int64_t i) {
    const size_t q = at(place.first + i, place.head, p_.n_heads);
    std::vector<double> x(static_cast<size_t>(place.length), -std::numeric_limits<double>::infinity());
    double largest = x.empty() ? 0.0 : x[0];
    for (int64_t j = 0; j < place.length; ++j) {
      if (p_.causal && j > i) continue;
      if (!p_.key_keep.empty() && p_.key_keep[static_cast<size_t>(place.first + j)] == 0) continue;
      double value = round_.store(
          p_.scale * round_.product(&in_.q[q], &in_.k[at(place.first + j, place.kv_head, p_.n_kv_heads)], p_.dim));
      if (p_.bias_columns > 0) value = round_.store(value + in_.bias[bias_at(place.head, i, j)]);
      x[static_cast<size_t>(j)] = value;
      largest = std::max(largest, value);
    }
    double total = 0.0;
    for (double& value : x) {
      value = std::isinf(value) ? 0.0 : round_.sum(std::exp(value - largest));
      total = round_.sum(total + value);
    }
    r_.log_sum_exp[static_cast<size_t>((place.first + i) * p_.n_heads + place.head)] =
        total == 0.0 ? -std::numeric_limits<double>::infinity() : round_.sum(largest + std::log(total));
    if (total == 0.0) return;
    for (double& value : x) value = round_.store(value / total);
    gradients(place, i, q, x);
  }

  void gradients(const Place& place, int64_t i, size_t q, const std::vector<double>& probabilities) {
    const size_t n = probabilities.size();
    std::vector<double> keep(n), d_p(n);
    double mean = 0.0;
    for (size_t j = 0; j < n; ++j) {
      if (probabilities[j] == 0.0) continue;
      const auto column = static_cast<int64_t>(j);
      const size_t k = at(place.first + column, place.kv_head, p_.n_kv_heads);
      keep[j] = attention_keep(p_, place.sequence, place.head, i, column);
      const double kept = round_.store(probabilities[j] * keep[j]);
      round_.add(&r_.out[q], kept, &in_.v[k], p_.dim);
      round_.add(&r_.d_v[k], kept, &in_.d_out[q], p_.dim);
      d_p[j] = round_.store(keep[j] * round_.store(round_.product(&in_.d_out[q], &in_.v[k], p_.dim)));
      mean = round_.sum(mean + round_.sum(probabilities[j] * d_p[j]));
    }
    for (size_t j = 0; j < n; ++j) {
      if (probabilities[j] == 0.0) continue;
      const auto column = static_cast<int64_t>(j);
      const size_t k = at(place.first + column, place.kv_head, p_.n_kv_heads);
      const double d_x = round_.store(probabilities[j] * round_.sum(d_p[j] - mean));
      round_.add(&r_.d_q[q], d_x * p_.scale, &in_.k[k], p_.dim);
      round_.add(&r_.d_k[k], d_x * p_.scale, &in_.q[q], p_.dim);
      if (p_.bias_columns > 0) r_.d_bias[bias_at(place.head, i, column)] += d_x;
    }
  }

  const AttentionProblem& p_;
  const AttentionInputs& in_;
  Rounding round_;
  AttentionResults r_;
};

}  // namespace

double to_stored(double x, Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::exact: return x;
    case Arithmetic::f16: return round_to(x, 11, -24);
    case Arithmetic::bf16: return round_to(x, 8, -133);
    default: return static_cast<double>(static_cast<float>(x));
  }
}

double attention_keep(const AttentionProblem& problem, int64_t sequence, int64_t head, int64_t i, int64_t j) {
  const double dropped = std::floor(256.0 * static_cast<double>(problem.dropout) + 0.5);
  const int64_t row = ((problem.first_sequence + sequence) * problem.n_heads + head) * (int64_t{1} << 20) + i;
  const Random4 draw = random4(problem.key, static_cast<uint64_t>(row), static_cast<uint32_t>(j / 16));
  const uint32_t byte = draw.v[j % 16 / 4] >> (8 * (j % 4)) & 255u;
  return byte >= dropped ? 256.0 / (256.0 - dropped) : 0.0;
}

AttentionInputs split_heads(const std::vector<double>& qkv, int64_t width) {
  AttentionInputs in;
  for (auto at = qkv.begin(); at != qkv.end(); at += 3 * width) {
    in.q.insert(in.q.end(), at, at + width);
    in.k.insert(in.k.end(), at + width, at + 2 * width);
    in.v.insert(in.v.end(), at + 2 * width, at + 3 * width);
  }
  in.d_out.assign(in.q.size(), 0.0);
  return in;
}

AttentionResults attention(const AttentionProblem& problem, const AttentionInputs& inputs, Arithmetic arithmetic) {
  return Computation(problem, inputs, arithmetic).run();
}

}  // namespace sheaf::ref
