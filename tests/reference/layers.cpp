#include "tests/reference/layers.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/dense/add_norm.hpp"
#include "tests/reference/dense.hpp"

namespace sheaf::ref {
namespace {

constexpr double kUnit = 0x1.0p-24;

std::vector<double> dropped(const std::vector<double>& x, int64_t dim, const Dropout& d) {
  return d.rate > 0 ? dropout(x, dim, d.rate, d.key, d.first_row) : x;
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

AddNorm add_norm(int64_t dim, const std::vector<double>& x, const std::vector<double>& residual,
                 const std::vector<double>& gain, const std::vector<double>& shift, const Dropout& dropout) {
  AddNorm result{dropped(x, dim, dropout), {}, {}, Bounded(x.size())};
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
    // The mean errs by (dim + 4) units of the largest term, an element by 4; the scale by half of what the squares do, relative.
    const double centred = 2.0 * static_cast<double>(dim + 8) * kUnit * largest * scale;
    for (size_t c = 0; c < d; ++c) {
      const double h = (result.sum[first + c] - mean) * scale;
      result.normed.value[first + c] = h * gain[c] + shift[c];
      const double of_scale = static_cast<double>(dim + 8) * kUnit + centred;
      result.normed.bound[first + c] =
          std::abs(gain[c]) * (centred + (1.0 + std::abs(h)) * of_scale) + 4.0 * kUnit * std::abs(shift[c]);
    }
  }
  return result;
}

AddNormGradients add_norm_backward(int64_t dim, const AddNorm& forward, const std::vector<double>& gain,
                                   const std::vector<double>& d_normed, const std::vector<double>& d_residual,
                                   const Dropout& dropout) {
  const auto d = static_cast<size_t>(dim);
  const size_t n = forward.mean.size();
  AddNormGradients out{Bounded(n * d), Bounded(n * d), Bounded(d), Bounded(d)};
  for (size_t r = 0; r < n; ++r) {
    const double mean = forward.mean[r], scale = forward.scale[r];
    const auto h = [&](size_t c) { return (forward.sum[r * d + c] - mean) * scale; };
    double g_mean = 0, gh_mean = 0, largest_g = 0, largest_h = 0, largest_sum = 0;
    for (size_t c = 0; c < d; ++c) {
      const double g = d_normed[r * d + c] * gain[c];
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
      const double g = d_normed[i] * gain[c];
      out.sum.value[i] = scale * (g - g_mean - h(c) * gh_mean) + (d_residual.empty() ? 0.0 : d_residual[i]);
      out.sum.bound[i] =
          4.0 * scale * largest_g * (1.0 + largest_h) * (h_error + static_cast<double>(dim + 8) * kUnit) +
          4.0 * kUnit * (d_residual.empty() ? 0.0 : std::abs(d_residual[i]));
      out.gain.value[c] += d_normed[i] * h(c);
      out.gain.bound[c] += std::abs(d_normed[i]) * (h_error + std::abs(h(c)) * static_cast<double>(n + 4) * kUnit);
      out.shift.value[c] += d_normed[i];
      out.shift.bound[c] += std::abs(d_normed[i]) * static_cast<double>(n + 4) * kUnit;
    }
  }
  out.x.value = dropped(out.sum.value, dim, dropout);
  const double keep = 1.0 / (1.0 - static_cast<double>(dropout.rate));
  for (size_t i = 0; i < n * d; ++i) {
    out.x.bound[i] = keep * (out.sum.bound[i] + 4.0 * kUnit * std::abs(out.sum.value[i]));
  }
  return out;
}

}  // namespace sheaf::ref
