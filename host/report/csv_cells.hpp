#pragma once
/// Text in the CSV files that people open.

#include <string>
#include <string_view>
#include <vector>

namespace sheaf::report {

/// Cells of one CSV file.
class CsvCells {
 public:
  /// `guard`: a text that a spreadsheet would run as a formula (it begins with = + - @, a tab or a carriage return and
  /// is no number) gets a ' before it.
  explicit CsvCells(bool guard) : guard_(guard) {}

  /// Quoted where it must be (RFC 4180).
  std::string text(std::string_view value) const;
  /// A list in one cell, separated by "; ". An element that holds ; or " or begins or ends with a blank stands in
  /// quotes of its own, with "" for ": split at ; outside of quotes, and the elements come back.
  std::string list(const std::vector<std::string_view>& values) const;
  /// A list of f(member) of all members.
  template <class Members, class F>
  std::string list_of(const Members& members, F&& f) const {
    std::vector<std::string_view> values;
    for (const auto member : members) values.push_back(f(member));
    return list(values);
  }

 private:
  bool guard_;
};

}  // namespace sheaf::report
