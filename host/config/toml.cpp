#include "host/config/toml.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "engine/data/shown.hpp"
#include "host/text/read_text.hpp"
#include "kernels/core/error.hpp"

namespace sheaf::config {
namespace {

constexpr int64_t kMaxDepth = 64;  // tables and lists in one another; the parser calls itself for each

/// The text after the string that begins at `at`.
size_t skip_string(std::string_view text, size_t at) {
  const char quote = text[at];
  const std::string_view three = text.substr(at, 3);
  const bool is_long = three.size() == 3 && three[1] == quote && three[2] == quote;
  for (at += is_long ? 3 : 1; at < text.size(); ++at) {
    if (text[at] == '\\' && quote == '"') {
      ++at;
    } else if (!is_long && (text[at] == quote || text[at] == '\n')) {
      return text[at] == quote ? at + 1 : at;
    } else if (is_long && text.substr(at, 3) == three) {
      at += 3;
      for (int more = 0; more < 2 && at < text.size() && text[at] == quote; ++more)
        ++at;  // two may end the text itself
      return at;
    }
  }
  return text.size();
}

/// Where a character that is not ASCII stands outside of strings and comments, which TOML does not allow; the end of
/// the text: nowhere. For such characters the parser takes a way that it declares impossible.
size_t foreign_at(std::string_view text) {
  constexpr std::string_view kBeforeString = " \t\r\n=[{,.";  // a quote after another character begins none
  for (size_t at = 0; at < text.size();) {
    if (static_cast<unsigned char>(text[at]) >= 0x80) return at;
    const bool begins_string =
        (text[at] == '"' || text[at] == '\'') && (at == 0 || kBeforeString.find(text[at - 1]) != kBeforeString.npos);
    if (text[at] == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else {
      at = begins_string ? skip_string(text, at) : at + 1;
    }
  }
  return text.size();
}

/// Where tables and lists stand too deep in one another, by dotted keys or brackets; the end of the text: nowhere.
size_t too_deep_at(std::string_view text) {
  std::vector<int64_t> open;  // levels of each bracket that is open
  int64_t levels = 0, dots = 0;
  char last = '\n';  // that is no blank
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    const bool after_blank = at > 0 && (text[at - 1] == ' ' || text[at - 1] == '\t');
    if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
      continue;
    }
    if (c == '"' || c == '\'') {
      last = c;
      at = skip_string(text, at);
      continue;
    }
    ++at;
    if (c == ' ' || c == '\t') continue;
    if (c == '.') {
      ++dots;
    } else if (c == '[' || c == '{') {
      open.push_back(dots + 1);
      levels += open.back();
      dots = 0;
    } else if (c == ']' || c == '}') {
      dots = 0;
      if (!open.empty()) {
        levels -= open.back();
        open.pop_back();
      }
    } else if (c == ',' || c == '\n' || (after_blank && last != '.' && c != '=')) {
      dots = 0;
    }
    if (levels + dots > kMaxDepth) return at - 1;
    last = c;
  }
  return text.size();
}

}  // namespace

toml::table parse_toml_text(std::string_view text, const std::string& source) {
  constexpr size_t kMost = size_t{16} << 20;  // four objectives of 256 candidates with all pairs have 5 MiB
  if (text.size() > kMost) {
    throw UsageError(fmt::format("{}: {} bytes of TOML, more than {}", source, text.size(), kMost),
                     "is this the file that was meant?");
  }
  const auto wrong = [&](int64_t line, std::string_view reason) {
    return UsageError(fmt::format("{} line {}: {}", source, line, reason), "mend the TOML there");
  };
  const auto line_of = [&](size_t at) { return 1 + std::ranges::count(text.substr(0, at), '\n'); };
  if (const size_t at = foreign_at(text); at < text.size()) {
    const size_t length = std::max<size_t>(1, text::utf8_length(text, at));
    throw wrong(line_of(at),
                fmt::format("the character '{}' stands outside of quotes", text::shown(text.substr(at, length))));
  }
  if (const size_t at = too_deep_at(text); at < text.size()) {
    throw wrong(line_of(at), fmt::format("tables and lists are more than {} deep in one another", kMaxDepth));
  }
  try {
    return toml::parse(text, source);
  } catch (const toml::parse_error& error) {
    throw wrong(error.source().begin.line, text::shown(error.description(), 200));
  }
}

toml::table parse_toml(const std::filesystem::path& path) {
  return parse_toml_text(text::read_text(path), path.string());
}

std::optional<double> number_of(const toml::node& node) {
  if (const auto whole = node.value_exact<int64_t>()) return static_cast<double>(*whole);
  return node.value_exact<double>();
}

std::string location(const std::filesystem::path& path, const toml::node& node) {
  return node.source().begin.line == 0 ? std::string()
                                       : fmt::format("{} line {}: ", path.string(), node.source().begin.line);
}

}  // namespace sheaf::config
