#include "host/report/svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace sheaf::report {
namespace {

constexpr double kWidth = 520, kHeight = 300;
constexpr double kLeft = 58, kRight = 16, kTop = 34, kBottom = 46;

std::string open_svg(double width, double height, const std::string& title) {
  return fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n<text class=\"title\" x=\"{:.0f}\" "
      "y=\"20\">{}</text>\n",
      width, height, escape(title), kLeft, escape(title));
}

std::string text(double x, double y, const std::string& what, const char* anchor, const char* css = "label") {
  return fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", css, x, y, anchor,
                     escape(what));
}

std::string rule(double x1, double y1, double x2, double y2, const char* css) {
  return fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", css, x1, y1, x2,
                     y2);
}

/// A range with ticks at round numbers.
struct Axis {
  double low = 0, high = 1, step = 1;

  static Axis around(double low, double high) {
    if (!(high > low)) {
      low -= 0.5;
      high += 0.5;
    }
    const double raw = (high - low) / 5;
    const double power = std::pow(10.0, std::floor(std::log10(raw)));
    const double lead = raw / power;
    const double step = power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10);
    return {std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, step};
  }
  double share(double value) const { return (value - low) / (high - low); }
  std::string label(double value) const {
    const int digits = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 8);
    return fmt::format("{:.{}f}", std::abs(value) < step / 2 ? 0.0 : value, digits);
  }
};

double x_at(const Axis& axis, double value) { return kLeft + axis.share(value) * (kWidth - kLeft - kRight); }
double y_at(const Axis& axis, double value) {
  return kHeight - kBottom - axis.share(value) * (kHeight - kTop - kBottom);
}

std::string frame(const Axis& x, const Axis& y, const std::string& x_label, const std::string& y_label) {
  std::string out;
  for (double v = y.low; v <= y.high + y.step / 2; v += y.step) {
    out += rule(kLeft, y_at(y, v), kWidth - kRight, y_at(y, v), "grid");
    out += text(kLeft - 6, y_at(y, v) + 4, y.label(v), "end");
  }
  for (double v = x.low; v <= x.high + x.step / 2; v += x.step) {
    out += text(x_at(x, v), kHeight - kBottom + 16, x.label(v), "middle");
  }
  out += rule(kLeft, kHeight - kBottom, kWidth - kRight, kHeight - kBottom, "axis");
  out += text((kLeft + kWidth - kRight) / 2, kHeight - 10, x_label, "middle");
  out += fmt::format(
      "<text class=\"label\" transform=\"translate(14 {:.0f}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
      (kTop + kHeight - kBottom) / 2, escape(y_label));
  return out;
}

std::string legend(const std::vector<std::string>& names) {
  std::string out;
  double x = kWidth - kRight;
  for (size_t s = names.size(); s-- > 0;) {
    x -= 8.0 * static_cast<double>(names[s].size());
    out += fmt::format("<rect class=\"fill{}\" x=\"{:.1f}\" y=\"11\" width=\"10\" height=\"10\"/>\n", s, x - 14);
    out += text(x, 20, names[s], "start");
    x -= 30;
  }
  return out;
}

}  // namespace

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out.push_back(c);
    }
  }
  return out;
}

std::string line_chart(const std::string& title, const std::string& x_label, const std::string& y_label,
                       const std::vector<Series>& series) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  double x_low = kInf, x_high = -kInf, y_low = kInf, y_high = -kInf;
  for (const Series& s : series) {
    for (const auto& [x, y] : s.points) {
      if (!std::isfinite(x) || !std::isfinite(y)) continue;
      x_low = std::min(x_low, x);
      x_high = std::max(x_high, x);
      y_low = std::min(y_low, y);
      y_high = std::max(y_high, y);
    }
  }
  std::string out = open_svg(kWidth, kHeight, title);
  if (!std::isfinite(x_low)) return out + text(kWidth / 2, kHeight / 2, "no data", "middle") + "</svg>\n";
  const Axis x = Axis::around(x_low, x_high), y = Axis::around(y_low, y_high);
  out += frame(x, y, x_label, y_label);
  std::vector<std::string> names;
  for (size_t s = 0; s < series.size(); ++s) {
    names.push_back(series[s].name);
    std::string path;
    for (const auto& [px, py] : series[s].points) {
      if (std::isfinite(px) && std::isfinite(py)) path += fmt::format("{:.1f},{:.1f} ", x_at(x, px), y_at(y, py));
    }
    out += fmt::format("<polyline class=\"line{}\" points=\"{}\"/>\n", s, path);
  }
  return out + (series.size() > 1 ? legend(names) : "") + "</svg>\n";
}

std::string histogram(const std::string& title, const std::string& x_label, double low, double high,
                      const std::vector<std::pair<std::string, std::vector<int64_t>>>& counts) {
  std::vector<std::string> names;
  std::vector<std::vector<double>> shares;
  double highest = 0;
  for (const auto& [name, bins] : counts) {
    names.push_back(name);
    int64_t total = 0;
    for (const int64_t n : bins) total += n;
    auto& row = shares.emplace_back();
    for (const int64_t n : bins) {
      row.push_back(total ? static_cast<double>(n) / static_cast<double>(total) : 0.0);
      highest = std::max(highest, row.back());
    }
  }
  const Axis x{low, high, (high - low) / 5}, y = Axis::around(0, highest > 0 ? highest : 1);
  std::string out = open_svg(kWidth, kHeight, title) + frame(x, y, x_label, "share");
  for (size_t s = 0; s < shares.size(); ++s) {
    const auto n = static_cast<double>(shares[s].size());
    for (size_t b = 0; b < shares[s].size(); ++b) {
      const double from = low + (high - low) * static_cast<double>(b) / n;
      const double width = (x_at(x, high) - x_at(x, low)) / n;
      const double top = y_at(y, shares[s][b]);
      out += fmt::format("<rect class=\"fill{} half\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>\n",
                         s, x_at(x, from), top, width - 1, y_at(y, 0) - top);
    }
  }
  return out + legend(names) + "</svg>\n";
}

std::string heat_map(const std::string& title, const std::vector<std::string>& names,
                     const std::vector<double>& values) {
  constexpr double kCell = 17, kNames = 240, kHead = 34;
  const size_t n = names.size();
  double largest = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      if (i != j) largest = std::max(largest, values[i * n + j]);
    }
  }
  const double side = kCell * static_cast<double>(n);
  std::string out = open_svg(kNames + side + 20, kHead + side + 30, title);
  for (size_t i = 0; i < n; ++i) {
    const double y = kHead + kCell * static_cast<double>(i);
    out += text(kNames - 6, y + 12, names[i], "end", "small");
    for (size_t j = 0; j < n; ++j) {
      if (i == j) continue;
      const double share = largest > 0 ? values[i * n + j] / largest : 0.0;
      out += fmt::format(
          "<rect class=\"cell\" x=\"{:.0f}\" y=\"{:.0f}\" width=\"{:.0f}\" height=\"{:.0f}\" "
          "fill-opacity=\"{:.3f}\"><title>{} "
          "+ {}: {:.4f}</title></rect>\n",
          kNames + kCell * static_cast<double>(j), y, kCell - 1, kCell - 1, share, escape(names[i]), escape(names[j]),
          values[i * n + j]);
    }
  }
  out += text(kNames, kHead + side + 18, fmt::format("no colour 0, full colour {:.4f}", largest), "start", "small");
  return out + "</svg>\n";
}

std::string share_bars(const std::string& title, const std::vector<std::pair<std::string, double>>& shares) {
  constexpr double kBar = 26, kNames = 170;
  const double height = kTop + kBar * static_cast<double>(shares.size()) + 12;
  std::string out = open_svg(kWidth, height, title);
  for (size_t s = 0; s < shares.size(); ++s) {
    const double y = kTop + kBar * static_cast<double>(s);
    const double share = std::isfinite(shares[s].second) ? std::clamp(shares[s].second, 0.0, 1.0) : 0.0;
    const double full = kWidth - kNames - 70;
    out += text(kNames - 8, y + 15, shares[s].first, "end");
    out += fmt::format("<rect class=\"back\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"18\"/>\n", kNames,
                       y + 2, full);
    out += fmt::format("<rect class=\"fill0\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"18\"/>\n", kNames,
                       y + 2, full * share);
    out += text(kNames + full + 8, y + 15, fmt::format("{:.1f} %", 100 * share), "start");
  }
  return out + "</svg>\n";
}

}  // namespace sheaf::report
