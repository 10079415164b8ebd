#include "fs/tree/registry_nodes.h"

#include <utility>

namespace modelfs::fs {
namespace {

std::unexpected<Error> OutOfOrder() {
  return Fail(Errc::kCorrupt, "node log: a registry's numbers are out of order");
}

Result<void> Fits(std::uint32_t wanted, std::uint32_t given) {
  if (wanted == given) return {};
  return OutOfOrder();
}

/// Whether files of both have the same numbers and the same bytes.
bool SameFiles(const fetch::VersionManifest& a, const fetch::VersionManifest& b) {
  return a.model == b.model && a.version == b.version && a.uri == b.uri && a.files == b.files;
}

}  // namespace

RegistryNodes::Given RegistryNodes::Take(Model model) {
  const auto [known, added] =
      model_numbers_.emplace(model.raw, static_cast<std::uint32_t>(models_.size()));
  if (added) models_.push_back(std::move(model));
  return {known->second, added};
}

RegistryNodes::Given RegistryNodes::Take(Line line) {
  LineKey key{line.model, line.name, line.target, line.version.created_ms};
  const auto [known, added] =
      line_numbers_.emplace(std::move(key), static_cast<std::uint32_t>(lines_.size()));
  if (added) {
    lines_.push_back(std::move(line));
    return {known->second, true};
  }
  // It may be ready by now.
  const bool news = lines_[known->second].version != line.version;
  lines_[known->second].version = line.version;
  return {known->second, news};
}

RegistryNodes::Given RegistryNodes::Take(std::uint32_t line, const FilesPtr& files) {
  std::uint32_t& serial = lines_[line].files;
  if (serial != 0) {
    FilesPtr& had = files_[serial - kFirstFiles];
    if (had == files) return {serial, false};
    if (SameFiles(had->manifest(), files->manifest())) {
      had = files;
      return {serial, false};
    }
  }
  files_.push_back(files);
  serial = static_cast<std::uint32_t>(files_.size() - 1) + kFirstFiles;
  return {serial, true};
}

std::uint32_t RegistryNodes::NumberOf(const fetch::RegisteredModel& model,
                                      const std::string& shown) {
  MutexLock lock(mutex_);
  const auto [number, news] =
      Take(Model{.raw = model.name, .shown = shown, .created_ms = model.created_ms});
  if (news) {
    Append(log_, ModelRecord{.registry = registry_,
                             .number = number,
                             .raw = model.name,
                             .shown = shown,
                             .created_ms = model.created_ms});
  }
  return number;
}

std::uint32_t RegistryNodes::NumberOf(Line line) {
  MutexLock lock(mutex_);
  const auto [number, news] = Take(std::move(line));
  if (news) {
    const Line& known = lines_[number];
    Append(log_, LineRecord{.registry = registry_,
                            .number = number,
                            .model = known.model,
                            .name = known.name,
                            .target = known.target,
                            .version = known.version});
  }
  return number;
}

std::uint32_t RegistryNodes::SerialOf(std::uint32_t line, const FilesPtr& files) {
  MutexLock lock(mutex_);
  const auto [serial, news] = Take(line, files);
  if (news) {
    Append(
        log_,
        FilesRecord{
            .registry = registry_, .serial = serial, .line = line, .manifest = files->manifest()});
  }
  return serial;
}

Result<void> RegistryNodes::Restore(const ModelRecord& record) {
  MutexLock lock(mutex_);
  return Fits(record.number,
              Take(Model{.raw = record.raw, .shown = record.shown, .created_ms = record.created_ms})
                  .number);
}

Result<void> RegistryNodes::Restore(const LineRecord& record) {
  MutexLock lock(mutex_);
  if (record.model >= models_.size()) return OutOfOrder();
  return Fits(record.number, Take(Line{.model = record.model,
                                       .name = record.name,
                                       .target = record.target,
                                       .version = record.version})
                                 .number);
}

Result<void> RegistryNodes::Restore(const FilesRecord& record, const FilesPtr& files) {
  MutexLock lock(mutex_);
  if (record.line >= lines_.size()) return OutOfOrder();
  return Fits(record.serial, Take(record.line, files).number);
}

std::optional<RegistryNodes::Model> RegistryNodes::ModelAt(std::uint32_t number) const {
  MutexLock lock(mutex_);
  if (number >= models_.size()) return std::nullopt;
  return models_[number];
}

std::optional<RegistryNodes::Line> RegistryNodes::LineAt(std::uint32_t number) const {
  MutexLock lock(mutex_);
  if (number >= lines_.size()) return std::nullopt;
  return lines_[number];
}

RegistryNodes::FilesPtr RegistryNodes::FilesAt(std::uint32_t serial) const {
  MutexLock lock(mutex_);
  if (serial < kFirstFiles || serial - kFirstFiles >= files_.size()) return nullptr;
  return files_[serial - kFirstFiles];
}

}  // namespace modelfs::fs
