#include "host/report/csv_cells.hpp"

#include "host/text/csv.hpp"

namespace sheaf::report {
namespace {

std::string in_quotes(std::string_view value) {
  std::string out = "\"";
  for (const char c : value) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  return out + "\"";
}

bool looks_like_formula(std::string_view value) {
  if (value.empty() || std::string_view("=+-@\t\r").find(value.front()) == std::string_view::npos) return false;
  double number = 0.0;
  return text::parse_number(value, number) != text::NumberStatus::ok;
}

}  // namespace

std::string CsvCells::text(std::string_view value) const {
  const std::string cell = (guard_ && looks_like_formula(value) ? "'" : "") + std::string(value);
  return cell.find_first_of(",\"\r\n") == std::string::npos ? cell : in_quotes(cell);
}

std::string CsvCells::list(const std::vector<std::string_view>& values) const {
  std::string cell;
  for (const std::string_view value : values) {
    if (!cell.empty()) cell += "; ";
    const bool plain = !value.empty() && value.find_first_of(";\"") == std::string_view::npos && value.front() != ' ' &&
                       value.back() != ' ';
    cell += plain ? std::string(value) : in_quotes(value);
  }
  return text(cell);
}

}  // namespace sheaf::report
