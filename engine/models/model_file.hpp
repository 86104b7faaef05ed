#pragma once
/// A trained model on disk: a folder of kind "model" with model.safetensors (its tensors) and manifest.json (its name,
/// settings, sizes and calibration). One reader and one writer serve all models.

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/io/folder.hpp"
#include "engine/models/recommender.hpp"

namespace sheaf::io {

inline constexpr const char* kModelKind = "model";

/// `notes` (an object: how it was trained) goes into the manifest under "notes".
void save_model(Recommender& model, const nlohmann::json& notes, const std::filesystem::path& folder);
/// The same into a place that was claimed before the work; `writer` is of kModelKind.
void save_model(Recommender& model, const nlohmann::json& notes, FolderWriter& writer);

struct LoadedModel {
  std::unique_ptr<Recommender> model;
  nlohmann::json notes;
};
/// DataError if anything in the folder is missing, changed or inconsistent.
LoadedModel load_model(Context& context, const std::filesystem::path& folder);

}  // namespace sheaf::io
