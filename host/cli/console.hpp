#pragma once
/// What people read: progress on stderr, results on stdout.

#include <string>
#include <vector>

namespace sheaf::cli {

/// Lines of progress; silent with --quiet and never on stdout. A stderr that cannot be written changes nothing.
class Progress {
 public:
  explicit Progress(bool quiet) : quiet_(quiet) {}
  void line(const std::string& text) const;

 private:
  bool quiet_;
};

/// Columns of text, numbers to the right. Widths count characters, not bytes.
class Table {
 public:
  /// A title that begins with '>' makes a column of right-aligned cells.
  explicit Table(std::vector<std::string> titles);
  void add(std::vector<std::string> cells);
  std::string str() const;

 private:
  std::vector<std::string> titles_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

/// "1.5 GiB"
std::string as_bytes(double bytes);

/// Writes to stdout; DataError that says why if that fails (a full disk behind a redirection, a closed pipe).
void print(const std::string& text);

}  // namespace sheaf::cli
