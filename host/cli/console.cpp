#include "host/cli/console.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine/io/standard_streams.hpp"
#include "host/text/format.hpp"

namespace sheaf::cli {
void Progress::line(const std::string& text) const {
  if (!quiet_) io::say(text + "\n");
}

Table::Table(std::vector<std::string> titles) : titles_(std::move(titles)) {
  for (std::string& title : titles_) {
    right_.push_back(title.starts_with('>'));
    if (right_.back()) title.erase(0, 1);
  }
}

void Table::add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string Table::str() const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < titles_.size(); ++c) {
    size_t width = text::width_of(titles_[c]);
    for (const auto& row : rows_) width = std::max(width, text::width_of(row[c]));
    widths.push_back(width);
  }
  std::string out;
  const auto add_row = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t c = 0; c < cells.size(); ++c) {
      const std::string padding(widths[c] - text::width_of(cells[c]), ' ');
      line += (c ? "  " : "") + (right_[c] ? padding + cells[c] : cells[c] + padding);
    }
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  };
  add_row(titles_);
  std::vector<std::string> rules;
  for (const size_t width : widths) rules.emplace_back(width, '-');
  add_row(rules);
  for (const auto& row : rows_) add_row(row);
  return out;
}

std::string as_bytes(double bytes) {
  constexpr double kStep = 1024;
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes >= kStep && unit + 1 < std::size(units)) {
    bytes /= kStep;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 || bytes >= 100 ? 0 : 1, units[unit]);
}

void print(const std::string& text) { io::write_result(text); }

}  // namespace sheaf::cli
