#include "tests/reference/layers.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/dense/residual_norm.hpp"
#include "tests/reference/dense.hpp"

namespace sheaf::ref {
namespace {

constexpr double kUnit = 0x1.0p-24;

std::vector<double> dropped(const std::vector<double>& x, int64_t dim, const Dropout& d) {
  return d.rate > 0 ? dropout(x, dim, d.rate, d.key, d.first_row) : x;
}

constexpr double kNoNormal = 0x1.0p-126;  // results below it may become 0

double normal_probability(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double normal_density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::acos(-1.0)); }

/// f(r, j, o) for each row, position and filter.
template <class F>
void for_each_hidden(const ConvolutionShape& s, F&& f) {
  for (int64_t r = 0; r < s.n; ++r) {
    for (int64_t j = 0; j < s.positions(); ++j) {
      for (int64_t o = 0; o < s.n_filters; ++o) f(r, j, o);
    }
  }
}

size_t hidden_at(const ConvolutionShape& s, int64_t r, int64_t j, int64_t o) {
  return static_cast<size_t>((r * s.positions() + j) * s.n_filters + o);
}

/// f(place in x, place in filters) for each term of an output.
template <class F>
void for_each_product(const ConvolutionShape& s, int64_t r, int64_t j, int64_t o, F&& f) {
  for (int64_t k = 0; k < s.width; ++k) {
    for (int64_t c = 0; c < s.channels; ++c) {
      f((r * s.length + j + k) * s.channels + c, (o * s.width + k) * s.channels + c);
    }
  }
}

}  // namespace

Sums linear(int64_t n_in, const std::vector<double>& x, const std::vector<double>& weight,
            const std::vector<double>& bias) {
  const auto n_out = static_cast<int64_t>(bias.size());
  const int64_t n = n_in > 0 ? static_cast<int64_t>(x.size()) / n_in : 0;
  Sums out(n * n_out);
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t o = 0; o < n_out; ++o) {
      out.add(r * n_out + o, bias[static_cast<size_t>(o)]);
      for (int64_t i = 0; i < n_in; ++i) {
        out.add(r * n_out + o, x[static_cast<size_t>(r * n_in + i)] * weight[static_cast<size_t>(o * n_in + i)]);
      }
    }
  }
  return out;
}

LinearGradients linear_backward(int64_t n_in, const std::vector<double>& x, const std::vector<double>& weight,
                                const std::vector<double>& d) {
  const int64_t n = n_in > 0 ? static_cast<int64_t>(x.size()) / n_in : 0;
  const int64_t n_out = n_in > 0 ? static_cast<int64_t>(weight.size()) / n_in : 0;
  LinearGradients g{Sums(n * n_in), Sums(n_out * n_in), Sums(n_out)};
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t o = 0; o < n_out; ++o) {
      const double grad = d[static_cast<size_t>(r * n_out + o)];
      g.bias.add(o, grad);
      for (int64_t i = 0; i < n_in; ++i) {
        g.x.add(r * n_in + i, grad * weight[static_cast<size_t>(o * n_in + i)]);
        g.weight.add(o * n_in + i, grad * x[static_cast<size_t>(r * n_in + i)]);
      }
    }
  }
  return g;
}

Bounded activation(dense::Activation kind, const std::vector<double>& x) {
  Bounded out(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    // Roundings, each of one unit roundoff. sigmoid: e^-|x| 2.2 (1.1 units in the last place), its sum, the quotient.
    // tanh: t = e^(-2 |x|) - 1 errs by 3, t / (2 + t) makes at most 3.6 of that and adds two.
    // gelu: e^(-x^2 / 2) 3.7 with its correction, polynomials of degrees 4 and 5 two a degree, their quotient and its
    // fit 1.2, the product with the exponential, 1 - tail, and the product with x.
    double value = 0, roundings = 0;
    switch (kind) {
      case dense::Activation::relu: value = std::max(0.0, x[i]); break;
      case dense::Activation::sigmoid:
        value = 1.0 / (1.0 + std::exp(-x[i]));
        roundings = 4.2;
        break;
      case dense::Activation::tanh:
        value = std::tanh(x[i]);
        roundings = 5.6;
        break;
      case dense::Activation::gelu:
        value = x[i] * normal_probability(x[i]);
        roundings = 26.0;
        break;
    }
    out.value[i] = value;
    out.bound[i] = roundings * kUnit * std::abs(value) + (kind == dense::Activation::relu ? 0.0 : kNoNormal);
  }
  return out;
}

Bounded activation_backward(dense::Activation kind, const std::vector<double>& kept, const std::vector<double>& d_out) {
  Bounded out(kept.size());
  for (size_t i = 0; i < kept.size(); ++i) {
    const double at = kept[i], d = d_out[i];
    // One rounding for each sum and product; gelu's probability 25 (see activation), the sum and the product with d.
    double factor = 0, size = 0, roundings = 0;
    switch (kind) {
      case dense::Activation::relu: factor = at > 0.0 ? 1.0 : 0.0; break;
      case dense::Activation::sigmoid:
        factor = size = at * (1.0 - at);
        roundings = 3.0;
        break;
      case dense::Activation::tanh:
        factor = size = (1.0 - at) * (1.0 + at);
        roundings = 4.0;
        break;
      case dense::Activation::gelu: {
        const double probability = normal_probability(at), other = at * normal_density(at);
        factor = probability + other;
        size = probability + std::abs(other);
        roundings = 27.0;
        break;
      }
    }
    out.value[i] = d * factor;
    // The density is multiplied with up to 15 / sqrt(2 pi) < 8 after it may have become 0.
    if (kind == dense::Activation::relu) continue;
    out.bound[i] = roundings * kUnit * std::abs(d * size) + 8.0 * kNoNormal * std::max(1.0, std::abs(d));
  }
  return out;
}

ResidualNorm residual_norm(int64_t dim, const std::vector<double>& x, const std::vector<double>& residual,
                           const std::vector<double>& weight, const std::vector<double>& bias, const Dropout& dropout) {
  ResidualNorm result{dropped(x, dim, dropout), {}, {}, Bounded(x.size())};
  for (size_t i = 0; i < residual.size(); ++i) result.sum[i] += residual[i];
  const auto d = static_cast<size_t>(dim);
  for (size_t first = 0; first < x.size(); first += d) {
    double mean = 0, squares = 0, largest = 0;
    for (size_t c = 0; c < d; ++c) {
      mean += result.sum[first + c] / static_cast<double>(dim);
      const double left = residual.empty() ? 0.0 : std::abs(residual[first + c]);
      largest = std::max(largest, left + std::abs(x[first + c]) / (1.0 - static_cast<double>(dropout.rate)));
    }
    for (size_t c = 0; c < d; ++c) squares += (result.sum[first + c] - mean) * (result.sum[first + c] - mean);
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(dim) + static_cast<double>(dense::kNormEpsilon));
    result.mean.push_back(mean);
    result.scale.push_back(scale);
    // The mean errs by (dim + 4) units of the largest term, an element by 4, the scale by half of the relative error of
    // the squares.
    const double centred = 2.0 * static_cast<double>(dim + 8) * kUnit * largest * scale;
    for (size_t c = 0; c < d; ++c) {
      const double h = (result.sum[first + c] - mean) * scale;
      result.normed.value[first + c] = h * weight[c] + bias[c];
      const double of_scale = static_cast<double>(dim + 8) * kUnit + centred;
      result.normed.bound[first + c] =
          std::abs(weight[c]) * (centred + (1.0 + std::abs(h)) * of_scale) + 4.0 * kUnit * std::abs(bias[c]);
    }
  }
  return result;
}

ResidualNormGradients residual_norm_backward(int64_t dim, const ResidualNorm& forward,
                                             const std::vector<double>& weight, const std::vector<double>& d_normed,
                                             const std::vector<double>& d_residual, const Dropout& dropout) {
  const auto d = static_cast<size_t>(dim);
  const size_t n = forward.mean.size();
  ResidualNormGradients out{Bounded(n * d), Bounded(n * d), Bounded(d), Bounded(d)};
  for (size_t r = 0; r < n; ++r) {
    const double mean = forward.mean[r], scale = forward.scale[r];
    const auto h = [&](size_t c) { return (forward.sum[r * d + c] - mean) * scale; };
    double g_mean = 0, gh_mean = 0, largest_g = 0, largest_h = 0, largest_sum = 0;
    for (size_t c = 0; c < d; ++c) {
      const double g = d_normed[r * d + c] * weight[c];
      g_mean += g / static_cast<double>(dim);
      gh_mean += g * h(c) / static_cast<double>(dim);
      largest_g = std::max(largest_g, std::abs(g));
      largest_h = std::max(largest_h, std::abs(h(c)));
      largest_sum = std::max(largest_sum, std::abs(forward.sum[r * d + c]));
    }
    // h is made anew of float sums and moments: its error, times what it is multiplied with.
    const double h_error = 4.0 * static_cast<double>(dim + 8) * kUnit * (1.0 + largest_h) * (1.0 + largest_sum * scale);
    for (size_t c = 0; c < d; ++c) {
      const size_t i = r * d + c;
      const double g = d_normed[i] * weight[c];
      out.sum.value[i] = scale * (g - g_mean - h(c) * gh_mean) + (d_residual.empty() ? 0.0 : d_residual[i]);
      out.sum.bound[i] =
          4.0 * scale * largest_g * (1.0 + largest_h) * (h_error + static_cast<double>(dim + 8) * kUnit) +
          4.0 * kUnit * (d_residual.empty() ? 0.0 : std::abs(d_residual[i]));
      out.weight.value[c] += d_normed[i] * h(c);
      out.weight.bound[c] += std::abs(d_normed[i]) * (h_error + std::abs(h(c)) * static_cast<double>(n + 4) * kUnit);
      out.bias.value[c] += d_normed[i];
      out.bias.bound[c] += std::abs(d_normed[i]) * static_cast<double>(n + 4) * kUnit;
    }
  }
  out.x.value = dropped(out.sum.value, dim, dropout);
  const double keep = 1.0 / (1.0 - static_cast<double>(dropout.rate));
  for (size_t i = 0; i < n * d; ++i) {
    out.x.bound[i] = keep * (out.sum.bound[i] + 4.0 * kUnit * std::abs(out.sum.value[i]));
  }
  return out;
}

Sums convolution(const ConvolutionShape& s, const std::vector<double>& x, const std::vector<double>& filters,
                 const std::vector<double>& bias) {
  Sums out(s.n * s.positions() * s.n_filters);
  for_each_hidden(s, [&](int64_t r, int64_t j, int64_t o) {
    const auto at = static_cast<int64_t>(hidden_at(s, r, j, o));
    out.add(at, bias[static_cast<size_t>(o)]);
    for_each_product(s, r, j, o, [&](int64_t in, int64_t weight) {
      out.add(at, x[static_cast<size_t>(in)] * filters[static_cast<size_t>(weight)]);
    });
  });
  return out;
}

Pooled pooled(const ConvolutionShape& s, dense::ConvolutionPooling pooling, const std::vector<double>& hidden) {
  const auto size = static_cast<size_t>(s.n * s.n_filters);
  Pooled out{std::vector<double>(size, 0.0), std::vector<double>(size, 0.0), std::vector<int32_t>(size, 0)};
  for_each_hidden(s, [&](int64_t r, int64_t j, int64_t o) {
    const auto at = static_cast<size_t>(r * s.n_filters + o);
    const double value = hidden[hidden_at(s, r, j, o)];
    if (pooling == dense::ConvolutionPooling::mean) {
      out.value[at] += value / static_cast<double>(s.positions());
      out.magnitude[at] += std::abs(value) / static_cast<double>(s.positions());
    } else if (j == 0 || value > out.value[at]) {
      out.value[at] = value;
      out.winner[at] = static_cast<int32_t>(j);
    }
  });
  return out;
}

std::vector<double> pooled_backward(const ConvolutionShape& s, dense::ConvolutionPooling pooling,
                                    const std::vector<double>& hidden, const std::vector<double>& d_out) {
  std::vector<double> d(hidden.size(), 0.0);
  const Pooled forward = pooled(s, pooling, hidden);
  for_each_hidden(s, [&](int64_t r, int64_t j, int64_t o) {
    const auto pool = static_cast<size_t>(r * s.n_filters + o);
    const size_t at = hidden_at(s, r, j, o);
    if (!(hidden[at] > 0.0)) return;
    if (pooling == dense::ConvolutionPooling::mean) {
      d[at] = static_cast<double>(static_cast<float>(d_out[pool] / static_cast<double>(s.positions())));
    } else if (forward.winner[pool] == j) {
      d[at] = d_out[pool];
    }
  });
  return d;
}

ConvolutionGradients convolution_backward(const ConvolutionShape& s, const std::vector<double>& x,
                                          const std::vector<double>& filters, const std::vector<double>& d) {
  ConvolutionGradients g{Sums(s.n * s.length * s.channels), Sums(s.n_filters * s.width * s.channels),
                         Sums(s.n_filters)};
  for_each_hidden(s, [&](int64_t r, int64_t j, int64_t o) {
    const double grad = d[hidden_at(s, r, j, o)];
    g.bias.add(o, grad);
    for_each_product(s, r, j, o, [&](int64_t in, int64_t weight) {
      g.x.add(in, grad * filters[static_cast<size_t>(weight)]);
      g.filters.add(weight, grad * x[static_cast<size_t>(in)]);
    });
  });
  return g;
}

}  // namespace sheaf::ref
