#include "engine/io/folder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/io/file_io.hpp"
#include "kernels/core/error.hpp"
#include "tests/common/temp_folder.hpp"

namespace sheaf::io {
namespace {

namespace fs = std::filesystem;
using test::read_tree;
using test::TempFolder;
using test::write_bytes;

void make(const fs::path& target, const std::string& kind, const std::string& content) {
  FolderWriter writer(target, kind);
  write_bytes(writer.path() / "data.bin", content);
  writer.commit({{"seed", 7}});
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

nlohmann::json read_json(const fs::path& path) { return nlohmann::json::parse(test::read_bytes(path)); }

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
    FolderWriter writer(target, "model");
    fs::create_directory(writer.path() / "below");
    write_bytes(writer.path() / "below" / "a", "12345");
    EXPECT_FALSE(fs::exists(target));
    writer.commit({{"seed", 7}});
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
    FolderWriter writer(temp.path() / "model", "model");
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
  const fs::path photos = temp.path() / "photos", file = temp.path() / "file";
  fs::create_directory(photos);
  write_bytes(photos / "holiday.jpg", "precious");
  write_bytes(file, "precious");
  const auto before = read_tree(temp.path());
  for (const fs::path& target : {photos, file}) {
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

TEST(Folder, FilesThatTheManifestDoesNotListStopTheCommand) {
  const TempFolder temp;
  const fs::path target = temp.path() / "model";
  const auto refused = [&](const std::string& name) {
    const auto before = read_tree(temp.path());
    EXPECT_EQ(message_of<UsageError>([&] { const FolderWriter writer(target, "model"); }),
              target.string() + " holds " + name + ", which its manifest does not list");
    EXPECT_EQ(read_tree(temp.path()), before);
  };
  make(target, "model", "old");
  write_bytes(target / "notes.md", "mine");
  refused("notes.md");
  fs::remove(target / "notes.md");
  fs::create_directory(target / "plots");
  refused("plots");
  write_bytes(target / "plots" / "a.png", "mine");
  refused("plots");
  fs::remove_all(target / "plots");
  fs::create_symlink("/etc/passwd", target / "link");
  refused("link");
  fs::remove(target / "link");
  make(target, "model", "new");
  EXPECT_EQ(read_tree(target)["data.bin"], "new");
}

/// What `action` says on stderr.
template <class Action>
std::string said(Action&& action) {
  testing::internal::CaptureStderr();
  action();
  return testing::internal::GetCapturedStderr();
}

TEST(Folder, AFileThatComesDuringTheWorkIsKept) {
  const TempFolder temp;
  const fs::path target = temp.path() / "model";
  make(target, "model", "old");
  const std::string message = said([&] {
    FolderWriter writer(target, "model");
    write_bytes(writer.path() / "data.bin", "new");
    write_bytes(target / "notes.md", "mine");
    writer.commit({{"seed", 7}});
  });
  EXPECT_EQ(read_folder(target, "model")["seed"], 7);
  EXPECT_EQ(read_tree(target)["data.bin"], "new");
  const auto names = names_in(temp.path());
  ASSERT_EQ(names.size(), 2u);
  EXPECT_NE(message.find("notes.md came into " + target.string()), std::string::npos) << message;
  EXPECT_NE(message.find(names[1]), std::string::npos) << message;
  EXPECT_EQ(read_tree(temp.path() / names[1])["notes.md"], "mine");
  // The next command leaves it alone, too.
  EXPECT_NE(said([&] { make(target, "model", "newer"); }).find("it holds notes.md"), std::string::npos);
  EXPECT_EQ(names_in(temp.path()), names);
}

TEST(Folder, ASymbolicLinkStaysAndTheFolderBehindItIsReplaced) {
  const TempFolder temp;
  const fs::path link = temp.path() / "link", real = temp.path() / "disk" / "model";
  fs::create_directory(temp.path() / "disk");
  make(real, "model", "old");
  fs::create_directory_symlink("disk/model", link);
  make(link / "", "model", "new");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(read_tree(real)["data.bin"], "new");
  EXPECT_EQ(names_in(temp.path()), (std::vector<std::string>{"disk", "link"}));
  EXPECT_EQ(names_in(temp.path() / "disk"), std::vector<std::string>{"model"});
  fs::remove_all(real);
  EXPECT_EQ(message_of<UsageError>([&] { make(link, "model", "x"); }),
            link.string() + " is a symbolic link that leads nowhere");
  write_bytes(real, "a file");
  EXPECT_NE(message_of<UsageError>([&] { make(link, "model", "x"); }).find("exists and is not a folder"),
            std::string::npos);
  EXPECT_EQ(read_tree(temp.path() / "disk")["model"], "a file");
}

TEST(Folder, OneWriterAtATime) {
  const TempFolder temp;
  const fs::path target = temp.path() / "model", link = temp.path() / "link";
  make(target, "model", "old");
  fs::create_directory_symlink(target, link);
  {
    FolderWriter first(target, "model");
    write_bytes(first.path() / "data.bin", "first");
    for (const fs::path& place : {target, link}) {
      EXPECT_EQ(message_of<DataError>([&] { const FolderWriter second(place, "model"); }),
                "cannot make folder " + target.string() + ": another process is writing it");
    }
    make(temp.path() / "other", "model", "x");  // another place is free
    first.commit({});
  }
  EXPECT_EQ(read_tree(target)["data.bin"], "first");
  make(target, "model", "third");
  EXPECT_EQ(names_in(temp.path()), (std::vector<std::string>{"link", "model", "other"}));
}

TEST(Claim, NamesAreRandomAndTheLockFileGoes) {
  const TempFolder temp;
  {
    const Claim claim(temp.path() / "x", Claim::Busy::refuse, "cannot write");
    EXPECT_NE(claim.partial(), claim.partial());
    EXPECT_EQ(names_in(temp.path()), std::vector<std::string>{"x.sheaf-lock"});
  }
  EXPECT_TRUE(names_in(temp.path()).empty());
  write_bytes(temp.path() / "x.sheaf-lock", "a file of somebody");
  { const Claim claim(temp.path() / "x", Claim::Busy::refuse, "cannot write"); }
  EXPECT_EQ(test::read_bytes(temp.path() / "x.sheaf-lock"), "a file of somebody");
}

TEST(Folder, TheNextWriterClearsUpWhatAKilledOneLeft) {
  const TempFolder temp;
  const fs::path target = temp.path() / "model";
  const auto leave = [&](const std::string& name) {
    fs::create_directory(temp.path() / name);
    write_bytes(temp.path() / name / "data.bin", "half");
  };
  make(target, "model", "old");
  leave("model.partial-0123abcd");
  write_bytes(temp.path() / "model.sheaf-lock", "");
  // These are of somebody else.
  for (const char* name : {"model.partial", "model.partial-1", "model.partial-0123ABCD", "model2.partial-0123abcd",
                           "model.partial-0123abcd.tar"}) {
    leave(name);
  }
  const std::string message = said([&] { make(target, "model", "new"); });
  EXPECT_EQ(message, "note: removed what a run that was killed had left beside " + target.string() + "\n");
  EXPECT_EQ(read_tree(target)["data.bin"], "new");
  EXPECT_EQ(names_in(temp.path()),
            (std::vector<std::string>{"model", "model.partial", "model.partial-0123ABCD", "model.partial-0123abcd.tar",
                                      "model.partial-1", "model2.partial-0123abcd"}));
}

TEST(Folder, WhatWasSetAsideComesBack) {
  const TempFolder temp;
  const fs::path target = temp.path() / "model", aside = temp.path() / "model.partial-0123abcd.old";
  const auto kill_between_the_renames = [&] {
    make(target, "model", "old");
    fs::rename(target, aside);
    make(temp.path() / "new", "model", "new");
    fs::rename(temp.path() / "new", temp.path() / "model.partial-0123abcd");
  };
  // A writer of another kind finds it and leaves it.
  kill_between_the_renames();
  EXPECT_NE(said([&] {
              EXPECT_NE(message_of<UsageError>([&] { make(target, "prepared", "x"); }).find("holds kind 'model'"),
                        std::string::npos);
            }).find(target.string() + " is back"),
            std::string::npos);
  EXPECT_EQ(read_tree(target)["data.bin"], "old");
  EXPECT_EQ(names_in(temp.path()), std::vector<std::string>{"model"});
  // A reader, too.
  kill_between_the_renames();
  const std::string message = said([&] { EXPECT_EQ(read_folder(target, "model")["seed"], 7); });
  EXPECT_NE(message.find("is back"), std::string::npos) << message;
  EXPECT_EQ(names_in(temp.path()), std::vector<std::string>{"model"});
  // Behind a link, too: for a writer and for a reader.
  const fs::path link = temp.path() / "link";
  fs::create_directory_symlink("model", link);
  kill_between_the_renames();
  make(link, "model", "newer");
  EXPECT_EQ(read_tree(target)["data.bin"], "newer");
  kill_between_the_renames();
  EXPECT_EQ(read_folder(link, "model")["seed"], 7);
  EXPECT_EQ(read_tree(target)["data.bin"], "old");
  fs::remove(link);
  // If something has its place, it was only not removed yet.
  fs::create_directory(aside);
  make(target, "model", "new");
  EXPECT_EQ(names_in(temp.path()), std::vector<std::string>{"model"});
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
    const std::string message = message_of<DataError>([&] { (void)read_folder(target, "model", {"data.bin"}); });
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
  damage("version 99, this program reads 2", [&] { edit("\"version\": 2", "\"version\": 99"); });
  // Version 1 had no checksum of the manifest.
  damage("version 1, this program reads 2", [&] {
    edit("\"version\": 2", "\"version\": 1");
    edit("\"sha256\": \"" + read_json(target / "manifest.json")["sha256"].get<std::string>() + "\",", "");
  });
  // The manifest is under a checksum of its own.
  damage("manifest.json was changed", [&] { edit("\"seed\": 7", "\"seed\": 8"); });
  damage("manifest.json was changed", [&] { edit("\"bytes\": 5", "\"bytes\": 6"); });
  damage("manifest.json was changed", [&] { edit("\n", "\n\n"); });
  damage("manifest.json has no sha256 of its own",
         [&] { write_bytes(target / "manifest.json", R"({"kind": "model", "version": 2, "files": {}})"); });
  // What a checksum does not find.
  const auto reseal = [&](auto&& change) {
    nlohmann::json manifest = read_json(target / "manifest.json");
    change(manifest);
    write_bytes(target / "manifest.json", sealed_text(manifest));
  };
  using Json = nlohmann::json;
  // Values that come from the file are shown shortened: one of a megabyte does not fill the terminal.
  const std::string long_text(1 << 20, 'v');
  const auto damage_shortly = [&](const std::string& expected, auto&& change) {
    damage(expected, [&] { reseal(change); });
    EXPECT_LT(message_of<DataError>([&] { (void)read_folder(target, "model", {"data.bin"}); }).size(), 500u)
        << expected;
  };
  damage_shortly("version \"vvv", [&](Json& m) { m["version"] = long_text; });
  damage_shortly("holds kind 'vvv", [&](Json& m) { m["kind"] = long_text; });
  damage_shortly("the entry of 'vvv", [&](Json& m) { m["files"][long_text] = 1; });
  damage_shortly("vvv… is missing", [&](Json& m) { m["files"][long_text] = m["files"]["data.bin"]; });
  damage_shortly("expected vvv", [&](Json& m) { m["files"]["data.bin"]["sha256"] = long_text; });
  damage("lists no files", [&] { reseal([](Json& m) { m.erase("files"); }); });
  damage("does not list data.bin", [&] { reseal([](Json& m) { m["files"] = Json::object(); }); });
  damage("the entry of '../data.bin' is damaged",
         [&] { reseal([](Json& m) { m["files"]["../data.bin"] = m["files"]["data.bin"]; }); });
  damage("the entry of 'data.bin' is damaged", [&] { reseal([](Json& m) { m["files"]["data.bin"]["bytes"] = -5; }); });
  damage("is not a folder", [&] { fs::remove_all(target); });
}

TEST(ReadFolder, AFolderThatIsReplacedMeanwhileIsFound) {
  const TempFolder temp;
  const fs::path target = temp.path() / "model";
  make(target, "model", "old");
  const nlohmann::json manifest = read_folder(target, "model");
  EXPECT_NO_THROW(check_same(target, manifest));
  make(target, "model", "new");
  EXPECT_EQ(message_of<DataError>([&] { check_same(target, manifest); }),
            target.string() + " was replaced while it was being read");
}

/// Each flipped bit of a manifest must be found; every seventh is tried.
TEST(ReadFolder, FindsEveryFlippedBitOfTheManifest) {
  const TempFolder temp;
  const fs::path target = temp.path() / "model";
  make(target, "model", "12345");
  const std::string whole = test::read_bytes(target / "manifest.json");
  for (size_t bit = 0; bit < 8 * whole.size(); bit += 7) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    write_bytes(target / "manifest.json", flipped);
    EXPECT_NE(message_of<DataError>([&] { (void)read_folder(target, "model"); }), "no such error") << "bit " << bit;
  }
}

TEST(Manifest, CountsAreWholeNumbersInTheirRange) {
  const auto message = [](const nlohmann::json& value) {
    return message_of<DataError>([&] { (void)count_at({{"n", value}}, "n", 1); });
  };
  EXPECT_EQ(count_at({{"n", 1}}, "n", 1), 1);
  EXPECT_EQ(count_at({{"n", 2147483647}}, "n", 1), 2147483647);
  EXPECT_EQ(message(6.5), "manifest.json: n is 6.5, expected a whole number from 1 to 2147483647");
  for (const nlohmann::json& value :
       {nlohmann::json(6.0), nlohmann::json(0), nlohmann::json(-1), nlohmann::json("6"), nlohmann::json(nullptr),
        nlohmann::json(int64_t{1} << 31), nlohmann::json(~uint64_t{0}), nlohmann::json(true)}) {
    EXPECT_NE(message(value), "no such error") << value;
  }
  EXPECT_EQ(number_at({{"x", -2}}, "x"), -2.0);
  EXPECT_EQ(message_of<DataError>([] {
              (void)number_at({{"x", "1"}}, "x");
            }),
            "manifest.json: x is \"1\", expected a number");
  EXPECT_NE(message_of<DataError>([] { (void)number_at({}, "x"); }), "no such error");
}

TEST(File, ALinkStaysAndLeftoversGo) {
  const TempFolder temp;
  const fs::path file = temp.path() / "disk.csv", link = temp.path() / "link.csv";
  write_bytes(file, "old");
  fs::create_symlink("disk.csv", link);
  write_bytes(temp.path() / "disk.csv.partial-0123abcd", "half");
  EXPECT_NE(said([&] { replace_file(link, "new"); }).find("removed what a run that was killed had left"),
            std::string::npos);
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(read_file(file), "new");
  EXPECT_EQ(names_in(temp.path()), (std::vector<std::string>{"disk.csv", "link.csv"}));
  fs::remove(file);
  EXPECT_NE(message_of<UsageError>([&] { check_file_target(link); }).find("leads nowhere"), std::string::npos);
}

}  // namespace
}  // namespace sheaf::io
