// The kinds of files that host/data/README.md shows: each is written as the page has it, and its commands must print
// what the page says. A new kind is an edit of the page alone.

#include <cstdlib>
#include <sstream>

#include "tests/host/program_test.hpp"

namespace sheaf {
namespace {

/// A block between two fences: ```csv march.csv
struct Block {
  std::string name;  // of the file; empty: what a terminal shows
  std::vector<std::string> lines;
};

struct Example {
  std::string title;
  std::vector<Block> blocks;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The examples between "### Your file looks like this" and the next heading of that rank.
std::vector<Example> examples_of_the_page() {
  const fs::path page = test::datasets_path().parent_path() / "host" / "data" / "README.md";
  std::vector<Example> examples;
  bool inside = false, in_block = false;
  for (const std::string& line : lines_of(test::read_bytes(page))) {
    if (!in_block && line.starts_with("### ")) inside = line == "### Your file looks like this";
    if (!inside) continue;
    if (line.starts_with("```")) {
      in_block = !in_block;
      if (!in_block) continue;
      EXPECT_FALSE(examples.empty()) << "a block before the first title";
      const size_t blank = line.find(' ');
      examples.back().blocks.push_back({blank == std::string::npos ? "" : line.substr(blank + 1), {}});
    } else if (in_block) {
      examples.back().blocks.back().lines.push_back(line);
    } else if (line.starts_with("#### ")) {
      examples.push_back({line.substr(5), {}});
    }
  }
  EXPECT_FALSE(in_block) << "a block is never closed";
  return examples;
}

class FileKindsTest : public ProgramTest {
 protected:
  /// Runs the commands ("$ ..") of a block; each must end well and print the lines below it, "..." for any others.
  void expect_session(const std::string& title, const Block& block) const {
    std::vector<std::string> printed;
    size_t at = 0;
    bool others = true;  // whether lines may come before the next one
    const auto expect_end = [&] {
      EXPECT_TRUE(others || at == printed.size()) << title << ": more is printed: " << printed[at];
    };
    for (const std::string& line : block.lines) {
      if (line.starts_with("$ ")) {
        expect_end();
        const Finished done = test::Process("/bin/bash", {"-c", line.substr(2)}, home()).finish();
        EXPECT_EQ(done.code, 0) << title << ": " << line << "\n" << done.err;
        printed = lines_of(done.out);
        at = 0;
        others = false;
      } else if (line == "...") {
        others = true;
      } else {
        const auto from = printed.begin() + static_cast<std::ptrdiff_t>(at);
        const auto found = std::find_if(from, printed.end(), [&](std::string text) {
          text.erase(text.find_last_not_of(' ') + 1);
          return text == line;
        });
        const bool good = found != printed.end() && (others || found == from);
        EXPECT_TRUE(good) << title << ": the page says '" << line << "'; printed:\n" << joined(printed);
        if (!good) return;
        at = static_cast<size_t>(found - printed.begin()) + 1;
        others = false;
      }
    }
    expect_end();
  }

 private:
  static std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
  }
};

TEST_F(FileKindsTest, TheExamplesOfThePageAreTrue) {
  const std::string path = test::program_path().parent_path().string() + ":" + std::getenv("PATH");
  ASSERT_EQ(::setenv("PATH", path.c_str(), 1), 0);
  const std::vector<Example> examples = examples_of_the_page();
  EXPECT_GE(examples.size(), 10u);
  for (const Example& example : examples) {
    fs::remove_all(home());
    fs::create_directory(home());
    int files = 0, imports = 0;
    for (const Block& block : example.blocks) {
      if (block.name.empty()) {
        expect_session(example.title, block);
        imports += static_cast<int>(
            std::ranges::count_if(block.lines, [](const auto& line) { return line.starts_with("$ sheaf import "); }));
        continue;
      }
      std::string text;
      for (const std::string& line : block.lines) text += line + "\n";
      write_bytes(home() / block.name, text);
      ++files;
    }
    EXPECT_GE(files, 2) << example.title << ": a file and its configuration";
    EXPECT_EQ(imports, 1) << example.title;
    EXPECT_TRUE(fs::exists(home() / "data" / "manifest.json")) << example.title;
  }
}

}  // namespace
}  // namespace sheaf
