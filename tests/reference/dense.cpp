#include "tests/reference/dense.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace sheaf::ref {
namespace {

double at(const std::vector<double>& matrix, int64_t row, int64_t dim, int64_t column) {
  return matrix[static_cast<size_t>(row * dim + column)];
}

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// visit(b, i): batch entry and its item, which is also the logit's place.
template <class Visit>
void for_each_logit(const Batch& shape, const Visit& visit) {
  for (int64_t b = 0; b < shape.n_batch; ++b) {
    for (int64_t g = 0; g < shape.group; ++g) visit(b, b * shape.group + g);
  }
}

// Adds share * sigmoid(slope * logit + offset) of a logit that float arithmetic has to within `bound`.
void add_probability(Mean& mean, double logit, double bound, Calibration calibration, double share) {
  constexpr double kRound = 0x1.0p-24;
  const double x = calibration.slope * logit + calibration.offset;
  const double moved =
      std::abs(calibration.slope) * bound + 3.0 * kRound * (std::abs(calibration.slope * logit) + std::abs(x));
  // Sigmoid is monotone: it lies between those of the ends of x's interval. It rounds as 10 operations
  // (reference/loss.cpp), the mean once more when it becomes a float.
  const double probability = sigmoid(x);
  const double error = std::max(sigmoid(x + moved) - probability, probability - sigmoid(x - moved));
  mean.value += share * probability;
  mean.bound += share * (error + 12.0 * kRound * (probability + error));
}

}  // namespace

Sums dot_scores(const Batch& shape, const std::vector<double>& users, const std::vector<double>& items,
                const std::vector<double>& user_bias, const std::vector<double>& item_bias, double bias) {
  Sums logits(shape.n_batch * shape.group);
  for_each_logit(shape, [&](int64_t b, int64_t i) {
    for (int64_t c = 0; c < shape.dim; ++c) logits.add(i, at(users, b, shape.dim, c) * at(items, i, shape.dim, c));
    logits.add(i, user_bias[static_cast<size_t>(b)]);
    logits.add(i, item_bias[static_cast<size_t>(i)]);
    logits.add(i, bias);
  });
  return logits;
}

DotGradients dot_scores_backward(const Batch& shape, const std::vector<double>& users, const std::vector<double>& items,
                                 const std::vector<double>& d_logits) {
  const int64_t dim = shape.dim;
  DotGradients d{Sums(shape.n_batch * dim), Sums(shape.n_batch * shape.group * dim), Sums(shape.n_batch), Sums(1)};
  for_each_logit(shape, [&](int64_t b, int64_t i) {
    const double d_logit = d_logits[static_cast<size_t>(i)];
    for (int64_t c = 0; c < dim; ++c) {
      d.users.add(b * dim + c, d_logit * at(items, i, dim, c));
      d.items.add(i * dim + c, d_logit * at(users, b, dim, c));
    }
    d.user_bias.add(b, d_logit);
    d.bias.add(0, d_logit);
  });
  return d;
}

Sums additive_scores(const Batch& shape, const std::vector<double>& users, const std::vector<double>& items,
                     const std::vector<double>& w_user, const std::vector<double>& w_item, double bias) {
  Sums logits(shape.n_batch * shape.group);
  for_each_logit(shape, [&](int64_t b, int64_t i) {
    for (int64_t c = 0; c < shape.dim; ++c) {
      logits.add(i, w_user[static_cast<size_t>(c)] * at(users, b, shape.dim, c));
      logits.add(i, w_item[static_cast<size_t>(c)] * at(items, i, shape.dim, c));
    }
    logits.add(i, bias);
  });
  return logits;
}

AdditiveGradients additive_scores_backward(const Batch& shape, const std::vector<double>& users,
                                           const std::vector<double>& items, const std::vector<double>& w_user,
                                           const std::vector<double>& w_item, const std::vector<double>& d_logits) {
  const int64_t dim = shape.dim;
  AdditiveGradients d{Sums(shape.n_batch * dim), Sums(shape.n_batch * shape.group * dim), Sums(dim), Sums(dim),
                      Sums(1)};
  for_each_logit(shape, [&](int64_t b, int64_t i) {
    const double d_logit = d_logits[static_cast<size_t>(i)];
    for (int64_t c = 0; c < dim; ++c) {
      d.users.add(b * dim + c, d_logit * w_user[static_cast<size_t>(c)]);
      d.items.add(i * dim + c, d_logit * w_item[static_cast<size_t>(c)]);
      d.w_user.add(c, d_logit * at(users, b, dim, c));
      d.w_item.add(c, d_logit * at(items, i, dim, c));
    }
    d.bias.add(0, d_logit);
  });
  return d;
}

std::vector<Mean> mean_probability(int64_t dim, const std::vector<double>& users, const std::vector<double>& items,
                                   const std::vector<double>& user_bias, const std::vector<double>& item_bias,
                                   double bias, Calibration calibration) {
  const auto n_items = static_cast<int64_t>(item_bias.size()), n_users = static_cast<int64_t>(user_bias.size());
  std::vector<Mean> means(item_bias.size());
  for (int64_t i = 0; i < n_items; ++i) {
    Mean& mean = means[static_cast<size_t>(i)];
    for (int64_t u = 0; u < n_users; ++u) {
      Sums logit(1);
      for (int64_t c = 0; c < dim; ++c) logit.add(0, at(users, u, dim, c) * at(items, i, dim, c));
      for (const double term : {user_bias[static_cast<size_t>(u)], item_bias[static_cast<size_t>(i)], bias}) {
        logit.add(0, term);
      }
      add_probability(mean, logit.value[0], logit.bound(0), calibration, 1.0 / static_cast<double>(n_users));
    }
    mean.bound += static_cast<double>(n_users + 2) * 0x1.0p-52 * mean.value + 0x1.0p-126;  // sums in double, underflow
  }
  return means;
}

std::vector<Mean> mean_sigmoid(const std::vector<double>& scores, const std::vector<double>& sums, double weight,
                               Calibration calibration) {
  const size_t n_items = sums.size(), n = n_items > 0 ? scores.size() / n_items : 0;
  std::vector<Mean> expected(n_items);
  for (size_t i = 0; i < n_items; ++i) {
    for (size_t r = 0; r < n; ++r) {
      add_probability(expected[i], scores[r * n_items + i], 0.0, calibration, std::abs(weight));
    }
    const double added = expected[i].value, size = added + std::abs(sums[i]);
    expected[i].value = sums[i] + (weight < 0 ? -added : added);
    // Sums in double; a probability may underflow.
    expected[i].bound += static_cast<double>(n + 3) * (0x1.0p-52 * size + 0x1.0p-126 * std::abs(weight));
  }
  return expected;
}

BoundedMatrix spd_inverse(int64_t n, const std::vector<double>& matrix) {
  const auto place = [n](int64_t r, int64_t c) { return static_cast<size_t>(r * n + c); };
  const auto product = [&](const std::vector<double>& a, const std::vector<double>& b) {
    std::vector<double> out(matrix.size());
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t k = 0; k < n; ++k) {
        for (int64_t j = 0; j < n; ++j) out[place(i, j)] += a[place(i, k)] * b[place(k, j)];
      }
    }
    return out;
  };
  const auto transposed = [&](const std::vector<double>& a) {
    std::vector<double> out(a.size());
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) out[place(j, i)] = a[place(i, j)];
    }
    return out;
  };
  const auto absolute = [](std::vector<double> a) {
    for (double& value : a) value = std::abs(value);
    return a;
  };
  std::vector<double> r(matrix.size()), x(matrix.size());  // both upper
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i; j < n; ++j) {
      double left = matrix[place(i, j)];
      for (int64_t k = 0; k < i; ++k) left -= r[place(k, i)] * r[place(k, j)];
      r[place(i, j)] = i == j ? std::sqrt(left) : left / r[place(i, i)];
    }
  }
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = j; i >= 0; --i) {
      double left = i == j ? 1.0 : 0.0;
      for (int64_t k = i + 1; k <= j; ++k) left -= r[place(i, k)] * x[place(k, j)];
      x[place(i, j)] = left / r[place(i, i)];
    }
  }
  BoundedMatrix out{product(x, transposed(x)), {}};
  const std::vector<double> inverse = absolute(out.value), factor = absolute(r);
  const std::vector<double> forward = product(product(inverse, transposed(factor)), factor);
  const std::vector<double> backward = product(absolute(x), factor);
  std::vector<double> both(matrix.size());
  for (size_t i = 0; i < both.size(); ++i) both[i] = forward[i] + 3.0 * backward[i];
  out.bound = product(both, inverse);
  constexpr double kRound = 0x1.0p-24;
  for (size_t i = 0; i < out.bound.size(); ++i) {
    out.bound[i] = 2.0 * (2.0 * static_cast<double>(n) * kRound * out.bound[i] + kRound * inverse[i]);
  }
  return out;
}

ExactInverse exact_inverse(int64_t n, int64_t per_row, uint32_t seed) {
  struct Entry {
    int64_t row, column;
    float value;
  };
  const auto place = [n](int64_t r, int64_t c) { return static_cast<size_t>(r * n + c); };
  std::mt19937 engine(seed);
  std::vector<std::vector<Entry>> rows(static_cast<size_t>(n)), columns(rows.size());
  for (int64_t r = 1; r < n; r += 2) {
    std::uniform_int_distribution<int64_t> half(0, r / 2);
    for (int64_t draw = 0; draw < per_row; ++draw) {
      const Entry entry{r, 2 * half(engine), engine() % 2 ? 1.0f : -1.0f};
      rows[static_cast<size_t>(r)].push_back(entry);
      columns[static_cast<size_t>(entry.column)].push_back(entry);
    }
  }
  ExactInverse out{std::vector<float>(static_cast<size_t>(n * n)), {}};
  for (int64_t i = 0; i < n; ++i) out.matrix[place(i, i)] = 1.0f;
  out.inverse = out.matrix;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const Entry& a : rows[i]) {
      out.matrix[place(a.row, a.column)] += a.value;
      out.matrix[place(a.column, a.row)] += a.value;
      out.inverse[place(a.row, a.column)] -= a.value;
      out.inverse[place(a.column, a.row)] -= a.value;
      for (const Entry& b : rows[i]) out.inverse[place(a.column, b.column)] += a.value * b.value;
    }
    for (const Entry& a : columns[i]) {
      for (const Entry& b : columns[i]) out.matrix[place(a.row, b.row)] += a.value * b.value;
    }
  }
  std::vector<float> scales(rows.size());
  for (float& scale : scales) scale = static_cast<float>(std::exp2(static_cast<int>(engine() % 5) - 2));
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t c = 0; c < n; ++c) {
      const float scale = scales[static_cast<size_t>(r)] * scales[static_cast<size_t>(c)];
      out.matrix[place(r, c)] *= scale;
      out.inverse[place(r, c)] /= scale;
    }
  }
  return out;
}

Sums gram(int64_t n, int64_t dim, const std::vector<float>& x) {
  Sums out(dim * dim);
  const auto value = [&](int64_t r, int64_t c) {
    return static_cast<long double>(x[static_cast<size_t>(r * dim + c)]);
  };
  for (int64_t i = 0; i < dim; ++i) {
    for (int64_t j = 0; j < dim; ++j) {
      const auto at = static_cast<size_t>(i * dim + j);
      long double sum = 0.0L;
      for (int64_t r = 0; r < n; ++r) {
        sum += value(r, i) * value(r, j);
        out.magnitude[at] += static_cast<double>(std::abs(value(r, i) * value(r, j)));
      }
      out.value[at] = static_cast<double>(sum);
      out.n_terms[at] = n;
    }
  }
  return out;
}

std::vector<double> ease_weights(int64_t n, const std::vector<double>& inverse) {
  std::vector<double> out(inverse.size());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      if (i != j) out[static_cast<size_t>(i * n + j)] = -at(inverse, i, n, j) / at(inverse, j, n, j);
    }
  }
  return out;
}

std::vector<double> dropout(const std::vector<double>& x, int64_t cols, float rate, RandomKey key, int64_t first_row) {
  std::vector<double> out(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const uint64_t row = static_cast<uint64_t>(first_row) + i / static_cast<size_t>(cols);
    const auto column = static_cast<uint32_t>(i % static_cast<size_t>(cols));
    const bool keep = uniform01(random_u32(key, row, column)) >= rate;
    out[i] = keep ? x[i] / (1.0 - static_cast<double>(rate)) : 0.0;
  }
  return out;
}

}  // namespace sheaf::ref
