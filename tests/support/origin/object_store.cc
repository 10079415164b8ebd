#include "tests/support/origin/object_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "tests/support/origin/publication.h"
#include "tests/support/pattern.h"

namespace modelfs::test {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUploadFolder = ".uploads";

/// Can `key` be the name of a file below a folder, and of no other?
bool IsFileName(std::string_view key) {
  if (key.empty() || key.size() > 3500 || key.find('\0') != std::string_view::npos) return false;
  while (true) {
    const std::size_t end = key.find('/');
    const std::string_view part = key.substr(0, end);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    if (end == std::string_view::npos) return true;
    key.remove_prefix(end + 1);
  }
}

bool IsBucketName(std::string_view bucket) {
  return IsFileName(bucket) && !bucket.starts_with('.') && !bucket.starts_with('_') &&
         bucket.find('/') == std::string_view::npos;
}

/// Of the form of a multipart upload's, so that no client takes it for an MD5 of the content.
std::string Etag(XXH128_hash_t hash) {
  return fmt::format("\"{:016x}{:016x}-1\"", hash.high64, hash.low64);
}

ObjectInfo InfoOf(const struct stat& st) {
  struct {
    std::uint64_t inode;
    std::int64_t seconds, nanoseconds, size;
  } const identity{st.st_ino, st.st_mtim.tv_sec, st.st_mtim.tv_nsec, st.st_size};
  const XXH128_hash_t hash = XXH3_128bits(&identity, sizeof identity);
  ObjectInfo info;
  info.size_bytes = static_cast<std::uint64_t>(st.st_size);
  info.etag = Etag(hash);
  info.modified = std::chrono::system_clock::from_time_t(st.st_mtim.tv_sec);
  return info;
}

/// Is there any object at or below `folder`?
bool HoldsFile(const fs::path& folder) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored)) return true;
  }
  return false;
}

}  // namespace

/// What a listing found under a name, before it is worth a stat.
struct ObjectStore::Item {
  bool is_prefix = false;
  fs::path file;
  ObjectInfo info;
};

Result<std::size_t> OpenObject::ReadAt(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset >= info.size_bytes) return 0;
  out = out.first(std::min<std::uint64_t>(out.size(), info.size_bytes - offset));
  if (bytes) {
    std::memcpy(out.data(), bytes->data() + offset, out.size());
    return out.size();
  }
  if (seed) {
    PatternBytes(*seed, offset, out);
    return out.size();
  }
  const ssize_t n = ::pread(file->get(), out.data(), out.size(), static_cast<off_t>(offset));
  if (n < 0) return FailErrno(errno, "pread of an object");
  return static_cast<std::size_t>(n);
}

fs::path ObjectStore::FilePath(std::string_view bucket, std::string_view key) const {
  return root_ / fs::path(bucket) / fs::path(key);
}

std::vector<std::string> ObjectStore::Buckets() const {
  std::vector<std::string> names;
  std::error_code error;
  if (!root_.empty()) {
    for (fs::directory_iterator it(root_, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      std::error_code ignored;
      if (IsBucketName(name) && it->is_directory(ignored)) names.push_back(name);
    }
  }
  const MutexLock lock(mutex_);
  for (const auto& [name, objects] : overlay_) names.push_back(name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

bool ObjectStore::HasBucket(std::string_view bucket) const {
  if (!IsBucketName(bucket)) return false;
  std::error_code ignored;
  if (!root_.empty() && fs::is_directory(root_ / fs::path(bucket), ignored)) return true;
  const MutexLock lock(mutex_);
  return overlay_.contains(bucket);
}

Result<void> ObjectStore::MakeBucket(const std::string& bucket) {
  if (!IsBucketName(bucket)) return Fail(Errc::kInvalid, "bad bucket name " + bucket);
  if (!root_.empty()) {
    std::error_code error;
    fs::create_directories(root_ / bucket, error);
    if (error) return FailErrno(error.value(), "make bucket " + bucket);
  }
  const MutexLock lock(mutex_);
  overlay_[bucket];
  return {};
}

std::shared_ptr<const PublishedObject> ObjectStore::FindPublished(std::string_view bucket,
                                                                  std::string_view key,
                                                                  const std::string& etag) const {
  if (published_.empty()) return nullptr;
  const auto found = published_.find(fmt::format("{}/{}", bucket, key));
  if (found == published_.end() || found->second->pinned_etag != etag) return nullptr;
  return found->second;
}

Result<void> ObjectStore::Publish(const std::string& bucket, const std::string& key,
                                  const Publication& publication) {
  const auto object = OpenPlain(bucket, key);
  if (!object) return std::unexpected(object.error());
  auto published = test::Publish(*object, publication);
  if (!published) return std::unexpected(published.error());
  const MutexLock lock(mutex_);
  published_[fmt::format("{}/{}", bucket, key)] =
      std::make_shared<const PublishedObject>(*std::move(published));
  return {};
}

Result<OpenObject> ObjectStore::Open(std::string_view bucket, std::string_view key) const {
  auto object = OpenPlain(bucket, key);
  if (!object) return object;
  const MutexLock lock(mutex_);
  object->published = FindPublished(bucket, key, object->info.etag);
  if (object->published && !object->published->md5_etag.empty()) {
    object->info.etag = object->published->md5_etag;
  }
  return object;
}

Result<OpenObject> ObjectStore::OpenPlain(std::string_view bucket, std::string_view key) const {
  {
    const MutexLock lock(mutex_);
    if (const auto found = overlay_.find(bucket); found != overlay_.end()) {
      if (const auto object = found->second.find(key); object != found->second.end()) {
        return object->second;
      }
    }
  }
  const auto missing = [&] { return Fail(Errc::kNotFound, fmt::format("{}/{}", bucket, key)); };
  if (root_.empty() || !IsBucketName(bucket) || !IsFileName(key)) return missing();
  Fd fd(::open(FilePath(bucket, key).c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st{};
  if (!fd || ::fstat(fd.get(), &st) != 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG) return missing();
    return FailErrno(error, fmt::format("open {}/{}", bucket, key));
  }
  if (!S_ISREG(st.st_mode)) return missing();
  OpenObject object;
  object.info = InfoOf(st);
  object.file = std::make_shared<const Fd>(std::move(fd));
  return object;
}

std::string ObjectStore::Put(const std::string& bucket, const std::string& key, OpenObject object) {
  object.info.modified = std::chrono::system_clock::now();
  const MutexLock lock(mutex_);
  const std::uint64_t serial = ++serial_;
  const XXH128_hash_t hash = XXH3_128bits_withSeed(&serial, sizeof serial, object.info.size_bytes);
  object.info.etag = Etag(hash);
  std::string etag = object.info.etag;
  overlay_[bucket][key] = std::move(object);
  return etag;
}

std::string ObjectStore::PutBytes(const std::string& bucket, const std::string& key,
                                  std::string bytes) {
  OpenObject object;
  object.info.size_bytes = bytes.size();
  object.bytes = std::make_shared<const std::string>(std::move(bytes));
  return Put(bucket, key, std::move(object));
}

std::string ObjectStore::PutPattern(const std::string& bucket, const std::string& key,
                                    std::uint64_t size_bytes, std::uint64_t seed) {
  OpenObject object;
  object.info.size_bytes = size_bytes;
  object.seed = seed;
  return Put(bucket, key, std::move(object));
}

Result<ObjectStore::Upload> ObjectStore::BeginUpload() {
  const fs::path folder = root_.empty() ? fs::temp_directory_path() : root_ / kUploadFolder;
  std::error_code error;
  fs::create_directories(folder, error);
  std::string name = (folder / "modelfs-upload-XXXXXX").string();
  Fd fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd) return FailErrno(errno, "make " + name);
  static_cast<void>(::fchmod(fd.get(), 0644));
  return Upload{std::move(fd), name};
}

Result<std::string> ObjectStore::CommitUpload(const std::string& bucket, const std::string& key,
                                              const fs::path& path) {
  if (!root_.empty() && IsBucketName(bucket) && IsFileName(key)) {
    const fs::path target = FilePath(bucket, key);
    std::error_code error;
    fs::create_directories(target.parent_path(), error);
    struct stat st{};
    if (!error && ::stat(path.c_str(), &st) == 0 && ::rename(path.c_str(), target.c_str()) == 0) {
      const MutexLock lock(mutex_);
      if (const auto found = overlay_.find(bucket); found != overlay_.end()) {
        found->second.erase(key);
      }
      return InfoOf(st).etag;
    }
  }
  std::ifstream in(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in && !in.eof()) return Fail(Errc::kIo, "read back " + path.string());
  std::error_code ignored;
  fs::remove(path, ignored);
  return PutBytes(bucket, key, std::move(bytes));
}

void ObjectStore::Remove(const std::string& bucket, const std::string& key) {
  {
    const MutexLock lock(mutex_);
    if (const auto found = overlay_.find(bucket); found != overlay_.end()) found->second.erase(key);
  }
  if (root_.empty() || !IsBucketName(bucket) || !IsFileName(key)) return;
  static_cast<void>(::unlink(FilePath(bucket, key).c_str()));
  // Folders are no objects: an emptied one goes, so that a later key may have its name.
  for (fs::path folder = FilePath(bucket, key).parent_path(); folder != root_ / bucket;
       folder = folder.parent_path()) {
    if (::rmdir(folder.c_str()) != 0) return;
  }
}

void ObjectStore::Walk(const fs::path& folder, const std::string& key_prefix,
                       const ListQuery& query, Items& items) const {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string key = key_prefix + it->path().filename().string();
    std::error_code ignored;
    if (it->is_directory(ignored)) {
      const std::string below = key + '/';
      const std::size_t common = std::min(below.size(), query.prefix.size());
      if (below.compare(0, common, query.prefix, 0, common) != 0) continue;
      const bool rolled = query.delimiter == "/" && below.size() > query.prefix.size();
      if (!rolled) {
        Walk(it->path(), below, query, items);
      } else if ((below > query.after || query.after.starts_with(below)) && below != query.after &&
                 HoldsFile(it->path())) {
        items[below].is_prefix = true;
      }
    } else if (key.starts_with(query.prefix) && it->is_regular_file(ignored)) {
      const std::size_t cut = query.delimiter.empty() || query.delimiter == "/"
                                  ? std::string::npos
                                  : key.find(query.delimiter, query.prefix.size());
      if (cut != std::string::npos) {
        const std::string name = key.substr(0, cut + query.delimiter.size());
        if (name > query.after) items[name].is_prefix = true;
      } else if (key > query.after) {
        items[key].file = it->path();
      }
    }
  }
}

void ObjectStore::CollectFiles(const std::string& bucket, const ListQuery& query,
                               Items& items) const {
  if (root_.empty() || !IsBucketName(bucket)) return;
  // Start at the deepest folder that every key of the prefix lies in.
  const std::size_t slash = query.prefix.rfind('/');
  const std::string start = slash == std::string::npos ? "" : query.prefix.substr(0, slash);
  if (!start.empty() && !IsFileName(start)) return;
  Walk(root_ / bucket / start, start.empty() ? "" : start + '/', query, items);
}

void ObjectStore::CollectOverlay(const std::string& bucket, const ListQuery& query,
                                 Items& items) const {
  const auto found = overlay_.find(bucket);
  if (found == overlay_.end()) return;
  const auto& objects = found->second;
  for (auto it = objects.lower_bound(query.prefix);
       it != objects.end() && it->first.starts_with(query.prefix); ++it) {
    const std::size_t cut = query.delimiter.empty()
                                ? std::string::npos
                                : it->first.find(query.delimiter, query.prefix.size());
    if (cut != std::string::npos) {
      const std::string name = it->first.substr(0, cut + query.delimiter.size());
      if (name > query.after) items[name].is_prefix = true;
    } else if (it->first > query.after) {
      Item& item = items[it->first];
      item.file.clear();
      item.info = it->second.info;
    }
  }
}

ListPage ObjectStore::List(const std::string& bucket, const ListQuery& query) const {
  Items items;
  CollectFiles(bucket, query, items);
  {
    const MutexLock lock(mutex_);
    CollectOverlay(bucket, query, items);
  }
  ListPage page;
  for (auto& [name, item] : items) {
    if (page.items.size() == query.max_items) {
      page.truncated = true;
      break;
    }
    ListItem out{.name = name, .is_prefix = item.is_prefix, .info = std::move(item.info)};
    if (!item.is_prefix && !item.file.empty()) {
      struct stat st{};
      if (::stat(item.file.c_str(), &st) != 0) continue;  // Gone since.
      out.info = InfoOf(st);
    }
    if (!out.is_prefix) {
      const MutexLock lock(mutex_);
      const auto published = FindPublished(bucket, name, out.info.etag);
      if (published && !published->md5_etag.empty()) out.info.etag = published->md5_etag;
    }
    page.items.push_back(std::move(out));
  }
  return page;
}

}  // namespace modelfs::test
