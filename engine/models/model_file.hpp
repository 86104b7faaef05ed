#pragma once
/// A trained preference model on disk: a folder of kind "model" with model.safetensors (tables, item bags) and manifest.json.

#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/io/folder.hpp"
#include "engine/models/preference.hpp"

namespace sheaf::io {

inline constexpr const char* kModelKind = "model";

/// `notes` (an object: how it was trained) goes into the manifest under "notes".
void save_model(const PreferenceState& state, const nlohmann::json& notes, const std::filesystem::path& folder);

struct LoadedModel {
  PreferenceState state;
  nlohmann::json notes;
};
/// DataError if anything in the folder is missing, changed or inconsistent.
LoadedModel load_model(const std::filesystem::path& folder);

}  // namespace sheaf::io
