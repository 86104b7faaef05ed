#include "engine/io/folder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/core/error.hpp"
#include "tests/common/temp_folder.hpp"

namespace sheaf::io {
namespace {

namespace fs = std::filesystem;
using test::read_tree;
using test::TempFolder;
using test::write_bytes;

void make(const fs::path& target, const std::string& kind, const std::string& content) {
  FolderWriter writer(target);
  write_bytes(writer.path() / "data.bin", content);
  writer.commit(kind, {{"seed", 7}});
}

template <class ErrorT, class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const ErrorT& error) {
    return error.what();
  }
  return "no such error";
}

/// Names in a folder.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Sha256, AgreesWithThePublishedVectors) {  // FIPS 180-4, examples of SHA-256
  const TempFolder folder;
  write_bytes(folder.path() / "abc", "abc");
  write_bytes(folder.path() / "empty", "");
  write_bytes(folder.path() / "million", std::string(1'000'000, 'a'));
  EXPECT_EQ(sha256_file(folder.path() / "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_file(folder.path() / "empty"), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_file(folder.path() / "million"), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Folder, GivesBackTheManifest) {
  const TempFolder temp;
  const fs::path target = temp.path() / "model";
  {
    FolderWriter writer(target);
    fs::create_directory(writer.path() / "below");
    write_bytes(writer.path() / "below" / "a", "12345");
    EXPECT_FALSE(fs::exists(target));
    writer.commit("model", {{"seed", 7}});
  }
  const auto manifest = read_folder(target, "model");
  EXPECT_EQ(manifest["kind"], "model");
  EXPECT_EQ(manifest["version"], kFolderVersion);
  EXPECT_EQ(manifest["seed"], 7);
  EXPECT_EQ(manifest["files"]["below/a"]["bytes"], 5);
  EXPECT_EQ(manifest["files"]["below/a"]["sha256"], "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5");
  EXPECT_EQ(manifest["files"].size(), 1u);
  EXPECT_EQ(names_in(temp.path()), std::vector<std::string>{"model"});
}

TEST(Folder, WithoutCommitNothingStays) {
  const TempFolder temp;
  {
    FolderWriter writer(temp.path() / "model");
    write_bytes(writer.path() / "data.bin", "1");
    EXPECT_TRUE(writer.path().filename().string().starts_with("model.partial-"));
  }
  EXPECT_TRUE(names_in(temp.path()).empty());
}

TEST(Folder, ReplacesOnlyItsOwnKind) {
  const TempFolder temp;
  const fs::path target = temp.path() / "model";
  make(target, "model", "old");
  make(target, "model", "new");
  EXPECT_EQ(read_tree(target)["data.bin"], "new");
  const auto before = read_tree(temp.path());
  EXPECT_EQ(message_of<UsageError>([&] { make(target, "prepared", "x"); }),
            target.string() + " holds kind 'model', not 'prepared'");
  EXPECT_EQ(read_tree(temp.path()), before);
}

TEST(Folder, NeverReplacesWhatIsNotOurs) {
  const TempFolder temp;
  const fs::path photos = temp.path() / "photos", file = temp.path() / "file", link = temp.path() / "link";
  fs::create_directory(photos);
  write_bytes(photos / "holiday.jpg", "precious");
  write_bytes(file, "precious");
  make(temp.path() / "model", "model", "old");
  fs::create_directory_symlink(temp.path() / "model", link);
  const auto before = read_tree(temp.path());
  for (const fs::path& target : {photos, file, link}) {
    EXPECT_NE(message_of<UsageError>([&] { make(target, "model", "x"); }).find("exists and is not a folder"),
              std::string::npos)
        << target;
  }
  write_bytes(photos / "manifest.json", "{\"kind\": 3");  // not one of ours either
  EXPECT_NE(message_of<UsageError>([&] { make(photos, "model", "x"); }).find("is not a folder of kind 'model'"),
            std::string::npos);
  fs::remove(photos / "manifest.json");
  EXPECT_EQ(read_tree(temp.path()), before);
}

TEST(Folder, AnEmptyFolderMayBeFilled) {
  const TempFolder temp;
  fs::create_directory(temp.path() / "out");
  make(temp.path() / "out" / "", "model", "new");  // a trailing slash as shells complete it
  EXPECT_EQ(names_in(temp.path() / "out"), (std::vector<std::string>{"data.bin", "manifest.json"}));
}

TEST(Folder, SameContentGivesTheSameBytes) {
  const TempFolder temp;
  make(temp.path() / "a", "model", "same");
  make(temp.path() / "b", "model", "same");
  EXPECT_EQ(read_tree(temp.path() / "a"), read_tree(temp.path() / "b"));
}

TEST(Folder, UnwritablePlacesSayWhy) {
  const TempFolder temp;
  const fs::path missing = temp.path() / "no" / "model";
  EXPECT_NE(message_of<DataError>([&] { make(missing, "model", "x"); }).find("No such file or directory"),
            std::string::npos);
  write_bytes(temp.path() / "file", "");
  EXPECT_NE(message_of<DataError>([&] { make(temp.path() / "file" / "model", "model", "x"); }).find("Not a directory"),
            std::string::npos);
  EXPECT_NE(message_of<DataError>([&] { make("/proc/model", "model", "x"); }).find("cannot make folder /proc/model"),
            std::string::npos);
}

TEST(ReadFolder, FindsEveryKindOfDamage) {
  const TempFolder temp;
  const fs::path target = temp.path() / "model";
  const auto damage = [&](const std::string& expected, auto&& spoil) {
    fs::remove_all(target);
    make(target, "model", "12345");
    spoil();
    const std::string message = message_of<DataError>([&] { (void)read_folder(target, "model"); });
    EXPECT_NE(message.find(expected), std::string::npos) << message;
    EXPECT_NE(message.find(target.string()), std::string::npos) << message;
  };
  const auto edit = [&](const std::string& from, const std::string& to) {
    std::string text = test::read_bytes(target / "manifest.json");
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    write_bytes(target / "manifest.json", text.replace(at, from.size(), to));
  };
  damage("data.bin: expected 5 bytes, found 4", [&] { write_bytes(target / "data.bin", "1234"); });
  damage("data.bin: sha256", [&] { write_bytes(target / "data.bin", "12346"); });
  damage("data.bin is missing", [&] { fs::remove(target / "data.bin"); });
  damage("no manifest.json", [&] { fs::remove(target / "manifest.json"); });
  damage("manifest.json is damaged", [&] { write_bytes(target / "manifest.json", "{"); });
  damage("holds kind 'other', expected 'model'", [&] { edit("\"kind\": \"model\"", "\"kind\": \"other\""); });
  damage("version 99, this program reads 1", [&] { edit("\"version\": 1", "\"version\": 99"); });
  damage("lists no files", [&] { write_bytes(target / "manifest.json", R"({"kind": "model", "version": 1})"); });
  damage("the entry of '../data.bin' is damaged", [&] { edit("\"data.bin\"", "\"../data.bin\""); });
  damage("the entry of 'data.bin' is damaged", [&] { edit("\"bytes\": 5", "\"bytes\": -5"); });
  damage("is not a folder", [&] { fs::remove_all(target); });
}

}  // namespace
}  // namespace sheaf::io
