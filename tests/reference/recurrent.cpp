#include "tests/reference/recurrent.hpp"

#include <cmath>
#include <functional>

namespace sheaf::ref {
namespace {

constexpr double kUnit = 0x1.0p-24;
// Of sigma and tanh: 3 units in the last place are at most 6 unit roundoffs.
constexpr double kFunctionRoundings = 6.0;

/// A number that float arithmetic has made, and how far it may be from what it should be.
struct Number {
  double value = 0.0, error = 0.0;
};

Number rounded(double value, double error) { return {value, error + kUnit * (std::abs(value) + error)}; }

Number operator+(const Number& a, const Number& b) { return rounded(a.value + b.value, a.error + b.error); }
Number operator-(const Number& a, const Number& b) { return rounded(a.value - b.value, a.error + b.error); }
Number operator*(const Number& a, const Number& b) {
  return rounded(a.value * b.value, std::abs(a.value) * b.error + std::abs(b.value) * a.error + a.error * b.error);
}

/// A function of slope at most `slope`, made with kFunctionRoundings.
Number applied(double value, double slope, const Number& x) {
  return {value, slope * x.error + kFunctionRoundings * kUnit * std::abs(value)};
}
Number sigma(const Number& x) { return applied(1.0 / (1.0 + std::exp(-x.value)), 0.25, x); }
Number tangent(const Number& x) { return applied(std::tanh(x.value), 1.0, x); }

Number exact(double value) { return {value, 0.0}; }

/// start + the sum of n products, added in any order: gamma(n + 1) of the sum of sizes, and what the factors err by.
Number sum_of(const Number& start, int64_t n, const std::function<double(int64_t)>& factor,
              const std::function<Number(int64_t)>& other) {
  double value = start.value, size = std::abs(start.value), error = start.error;
  for (int64_t i = 0; i < n; ++i) {
    const double a = factor(i);
    const Number b = other(i);
    value += a * b.value;
    size += std::abs(a) * (std::abs(b.value) + b.error);
    error += std::abs(a) * b.error;
  }
  const double steps = static_cast<double>(n + 2) * kUnit;
  return {value, error + steps / (1.0 - steps) * size};
}

double at(const std::vector<double>& values, int64_t i) { return values[static_cast<size_t>(i)]; }

void put(Bounded& into, int64_t i, const Number& number) {
  into.value[static_cast<size_t>(i)] = number.value;
  into.bound[static_cast<size_t>(i)] = number.error;
}

}  // namespace

RecurrentStates recurrent(const RecurrentProblem& p, const std::vector<double>& x) {
  const int64_t dim = p.dim, gates = (p.lstm ? 4 : 3) * dim, kept = (p.lstm ? 5 : 4) * dim, n = p.offsets.back();
  RecurrentStates states{Bounded(static_cast<size_t>(n * kept)), Bounded(static_cast<size_t>(n * dim))};
  for (size_t s = 0; s + 1 < p.offsets.size(); ++s) {
    std::vector<Number> h(static_cast<size_t>(dim)), c = h;
    for (int64_t r = p.offsets[s]; r < p.offsets[s + 1]; ++r) {
      const std::vector<Number> before = h;
      const auto u = [&](int64_t row, double start) {
        return sum_of(
            exact(start), dim, [&](int64_t k) { return at(p.weight, row * dim + k); },
            [&](int64_t k) { return before[static_cast<size_t>(k)]; });
      };
      for (int64_t j = 0; j < dim; ++j) {
        const auto own = static_cast<size_t>(j);
        const auto input = [&](int64_t gate) { return exact(at(x, r * gates + gate * dim + j)); };
        const auto sum = [&](int64_t gate) { return input(gate) + u(gate * dim + j, 0.0); };
        const auto keep = [&](int64_t block, const Number& number) {
          put(states.kept, r * kept + block * dim + j, number);
        };
        if (p.lstm) {
          const Number in = sigma(sum(0)), forget = sigma(sum(1)), g = tangent(sum(2)), o = sigma(sum(3));
          c[own] = forget * c[own] + in * g;
          h[own] = o * tangent(c[own]);
          keep(0, in);
          keep(1, forget);
          keep(2, g);
          keep(3, o);
          keep(4, c[own]);
        } else {
          const Number reset = sigma(sum(0)), z = sigma(sum(1)), q = u(2 * dim + j, at(p.bias, j));
          const Number candidate = tangent(input(2) + reset * q);
          h[own] = (exact(1.0) - z) * candidate + z * before[own];
          keep(0, reset);
          keep(1, z);
          keep(2, candidate);
          keep(3, q);
        }
        put(states.out, r * dim + j, h[own]);
      }
    }
  }
  return states;
}

RecurrentGradients recurrent_backward(const RecurrentProblem& p, const std::vector<double>& kept,
                                      const std::vector<double>& out, const std::vector<double>& d_out) {
  const int64_t dim = p.dim, gates = (p.lstm ? 4 : 3) * dim, n_kept = (p.lstm ? 5 : 4) * dim, n = p.offsets.back();
  RecurrentGradients g{Bounded(static_cast<size_t>(n * gates)), Bounded(static_cast<size_t>(gates * dim)),
                       Bounded(p.bias.size())};
  std::vector<Number> d(static_cast<size_t>(n * gates));  // of u
  std::vector<double> before_rows(static_cast<size_t>(n * dim), 0.0);
  const Number one = exact(1.0);
  for (size_t s = 0; s + 1 < p.offsets.size(); ++s) {
    std::vector<Number> later_h(static_cast<size_t>(dim)), later_c = later_h;
    for (int64_t r = p.offsets[s + 1] - 1; r >= p.offsets[s]; --r) {
      const bool is_first = r == p.offsets[s];
      std::vector<Number> direct(static_cast<size_t>(dim));
      for (int64_t j = 0; j < dim; ++j) {
        const auto own = static_cast<size_t>(j);
        const auto was = [&](int64_t block) { return exact(at(kept, r * n_kept + block * dim + j)); };
        const auto put_d = [&](int64_t gate, const Number& of_x, const Number& of_u) {
          put(g.x, r * gates + gate * dim + j, of_x);
          d[static_cast<size_t>(r * gates + gate * dim + j)] = of_u;
        };
        const double h_before = is_first ? 0.0 : at(out, (r - 1) * dim + j);
        before_rows[static_cast<size_t>(r * dim + j)] = h_before;
        const Number d_h = exact(at(d_out, r * dim + j)) + later_h[own];
        if (p.lstm) {
          const Number in = was(0), forget = was(1), cand = was(2), o = was(3), t = tangent(was(4));
          const Number c_before = exact(is_first ? 0.0 : at(kept, (r - 1) * n_kept + 4 * dim + j));
          const Number d_c = later_c[own] + d_h * o * ((one - t) * (one + t));
          const Number a_in = d_c * cand * (in * (one - in)), a_forget = d_c * c_before * (forget * (one - forget));
          const Number a_cand = d_c * in * ((one - cand) * (one + cand)), a_o = d_h * t * (o * (one - o));
          put_d(0, a_in, a_in);
          put_d(1, a_forget, a_forget);
          put_d(2, a_cand, a_cand);
          put_d(3, a_o, a_o);
          later_c[own] = d_c * forget;
        } else {
          const Number reset = was(0), z = was(1), cand = was(2), q = was(3);
          const Number a_cand = d_h * (one - z) * ((one - cand) * (one + cand));
          const Number a_reset = a_cand * q * (reset * (one - reset));
          const Number a_z = d_h * (exact(h_before) - cand) * (z * (one - z));
          put_d(0, a_reset, a_reset);
          put_d(1, a_z, a_z);
          put_d(2, a_cand, a_cand * reset);
          direct[own] = d_h * z;
        }
      }
      for (int64_t k = 0; k < dim; ++k) {
        later_h[static_cast<size_t>(k)] = sum_of(
            direct[static_cast<size_t>(k)], gates, [&](int64_t m) { return at(p.weight, m * dim + k); },
            [&](int64_t m) { return d[static_cast<size_t>(r * gates + m)]; });
      }
    }
  }
  const auto d_at = [&](int64_t r, int64_t m) { return d[static_cast<size_t>(r * gates + m)]; };
  for (int64_t m = 0; m < gates; ++m) {
    for (int64_t k = 0; k < dim; ++k) {
      put(g.weight, m * dim + k,
          sum_of(
              exact(0.0), n, [&](int64_t r) { return at(before_rows, r * dim + k); },
              [&](int64_t r) { return d_at(r, m); }));
    }
  }
  for (int64_t j = 0; j < std::ssize(p.bias); ++j) {
    put(g.bias, j,
        sum_of(
            exact(0.0), n, [](int64_t) { return 1.0; }, [&](int64_t r) { return d_at(r, 2 * dim + j); }));
  }
  return g;
}

}  // namespace sheaf::ref
