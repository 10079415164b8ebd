#include "fs/tree/node_record.h"

#include <algorithm>
#include <concepts>
#include <optional>
#include <utility>

#include "fs/tree/listing_record.h"
#include "fs/tree/registry_records.h"

namespace modelfs::fs {
namespace {

// Each record is a letter, then its fields in order: numbers as this machine has them, texts with
// their length in front; a listing or a manifest is last and takes the rest.

constexpr char kBacking = 'B';

class Writer {
 public:
  explicit Writer(char kind) : out_(1, kind) {}

  template <std::integral Number>
  Writer& Put(Number number) {
    out_.append(reinterpret_cast<const char*>(&number), sizeof number);
    return *this;
  }
  Writer& Put(std::string_view text) {
    Put(static_cast<std::uint32_t>(text.size()));
    out_.append(text);
    return *this;
  }
  Writer& Put(const std::vector<std::string>& texts) {
    Put(static_cast<std::uint32_t>(texts.size()));
    for (const std::string& text : texts) Put(text);
    return *this;
  }
  std::string Ended(std::string_view rest = {}) && { return std::move(out_.append(rest)); }

 private:
  std::string out_;
};

/// Takes fields from the front; once one is not there nothing is.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <std::integral Number>
  Reader& Take(Number& number) {
    if (ok_ = ok_ && bytes_.size() >= sizeof number; ok_) {
      std::ranges::copy_n(bytes_.data(), sizeof number, reinterpret_cast<char*>(&number));
      bytes_.remove_prefix(sizeof number);
    }
    return *this;
  }
  Reader& Take(std::string& text) {
    std::uint32_t length = 0;
    Take(length);
    if (ok_ = ok_ && bytes_.size() >= length; ok_) {
      text = bytes_.substr(0, length);
      bytes_.remove_prefix(length);
    }
    return *this;
  }
  Reader& Take(std::vector<std::string>& texts) {
    std::uint32_t count = 0;
    Take(count);
    for (std::uint32_t i = 0; ok_ && i < count; ++i) Take(texts.emplace_back());
    return *this;
  }
  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && bytes_.empty(); }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

std::string Encode(const SlotRecord& r) {
  Writer writer('S');
  writer.Put(r.serial).Put(r.name).Put(r.origin);
  return std::move(writer).Ended();
}

std::string Encode(const DirectoryRecord& r) {
  Writer writer('D');
  writer.Put(r.serial).Put(r.parent).Put(r.index);
  return std::move(writer).Ended();
}

std::string Encode(const EntriesRecord& r) {
  Writer writer('E');
  writer.Put(r.serial).Put(r.first);
  return std::move(writer).Ended(EncodeListing(r.entries));
}

std::string Encode(const RegistryRecord& r) {
  Writer writer('R');
  writer.Put(r.number).Put(r.name).Put(r.registry).Put(r.domain).Put(r.models);
  return std::move(writer).Ended();
}

std::string Encode(const ModelRecord& r) {
  Writer writer('M');
  writer.Put(r.registry).Put(r.number).Put(r.raw).Put(r.shown).Put(r.created_ms);
  return std::move(writer).Ended();
}

std::string Encode(const LineRecord& r) {
  Writer writer('L');
  writer.Put(r.registry).Put(r.number).Put(r.model).Put(r.name).Put(r.target);
  writer.Put(r.version.number).Put(r.version.created_ms).Put(r.version.ready);
  return std::move(writer).Ended();
}

std::string Encode(const FilesRecord& r) {
  Writer writer('F');
  writer.Put(r.registry).Put(r.serial).Put(r.line);
  return std::move(writer).Ended(EncodeManifest(r.manifest));
}

std::string Encode(const BackingRecord& r) {
  Writer writer(kBacking);
  writer.Put(r.node).Put(r.life).Put(r.backing_id);
  return std::move(writer).Ended();
}

std::optional<NodeRecord> Decode(char kind, Reader reader) {
  switch (kind) {
    case 'S': {
      SlotRecord r;
      if (reader.Take(r.serial).Take(r.name).Take(r.origin).at_end()) return r;
      break;
    }
    case 'D': {
      DirectoryRecord r;
      if (reader.Take(r.serial).Take(r.parent).Take(r.index).at_end()) return r;
      break;
    }
    case 'E': {
      EntriesRecord r;
      if (!reader.Take(r.serial).Take(r.first).ok()) break;
      auto entries = DecodeListing(reader.rest());
      if (!entries) break;
      r.entries = *std::move(entries);
      return r;
    }
    case 'R': {
      RegistryRecord r;
      reader.Take(r.number).Take(r.name).Take(r.registry).Take(r.domain).Take(r.models);
      if (reader.at_end()) return r;
      break;
    }
    case 'M': {
      ModelRecord r;
      reader.Take(r.registry).Take(r.number).Take(r.raw).Take(r.shown).Take(r.created_ms);
      if (reader.at_end()) return r;
      break;
    }
    case 'L': {
      LineRecord r;
      std::uint8_t ready = 0;
      reader.Take(r.registry).Take(r.number).Take(r.model).Take(r.name).Take(r.target);
      reader.Take(r.version.number).Take(r.version.created_ms).Take(ready);
      r.version.ready = ready != 0;
      if (reader.at_end()) return r;
      break;
    }
    case 'F': {
      FilesRecord r;
      if (!reader.Take(r.registry).Take(r.serial).Take(r.line).ok()) break;
      auto manifest = DecodeManifest(reader.rest());
      if (!manifest) break;
      r.manifest = *std::move(manifest);
      return r;
    }
    case kBacking: {
      BackingRecord r;
      if (reader.Take(r.node).Take(r.life).Take(r.backing_id).at_end()) return r;
      break;
    }
    default: break;
  }
  return std::nullopt;
}

}  // namespace

bool IsBackingRecord(std::string_view bytes) { return bytes.starts_with(kBacking); }

std::string EncodeNodeRecord(const NodeRecord& record) {
  return std::visit([](const auto& r) { return Encode(r); }, record);
}

void Append(const std::shared_ptr<NodeLog>& log, const NodeRecord& record) {
  if (log) log->Append(EncodeNodeRecord(record));
}

Result<NodeRecord> DecodeNodeRecord(std::string_view bytes) {
  if (!bytes.empty()) {
    if (auto record = Decode(bytes.front(), Reader(bytes.substr(1)))) return *std::move(record);
  }
  return Fail(Errc::kCorrupt, "node log: a record that makes no sense");
}

}  // namespace modelfs::fs
