#include "index/lmdb_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/handle.h"

namespace modelfs::index {
namespace {

// The layout of mdb.c of LMDB 0.9, on a machine of 64 bits.
struct PageHeader {
  std::uint64_t number;
  std::uint16_t pad;
  std::uint16_t flags;
  std::uint16_t lower;  ///< Of an overflow page the low half of how many there are.
  std::uint16_t upper;
};
static_assert(sizeof(PageHeader) == 16);
constexpr std::uint16_t kBranch = 1;
constexpr std::uint16_t kLeaf = 2;
constexpr std::uint16_t kOverflow = 4;
constexpr std::uint16_t kMeta = 8;

struct Tree {
  std::uint32_t page_size;  ///< Of the tree of free pages; of others unused.
  std::uint16_t flags;
  std::uint16_t depth;
  std::uint64_t branch_pages;
  std::uint64_t leaf_pages;
  std::uint64_t overflow_pages;
  std::uint64_t entries;
  std::uint64_t root;
};
static_assert(sizeof(Tree) == 48);

struct Meta {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t address;
  std::uint64_t map_size;
  Tree free;
  Tree main;
  std::uint64_t last_page;
  std::uint64_t txn;
};
static_assert(sizeof(Meta) == 136);
constexpr std::uint32_t kMagic = 0xBEEFC0DE;
constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
constexpr std::uint16_t kMostDepth = 32;

struct Node {
  std::uint16_t low;
  std::uint16_t high;
  std::uint16_t flags;
  std::uint16_t key_size;
};
static_assert(sizeof(Node) == 8);
constexpr std::uint16_t kBigData = 1;
constexpr std::uint16_t kSubTree = 2;

template <class T>
T Load(std::span<const std::byte> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/// One walk over the file. The first complaint ends it.
class Checker {
 public:
  explicit Checker(int fd) : fd_(fd) {}

  Result<void> Run() {
    if (!ReadMeta()) return Verdict();
    used_.assign(meta_.last_page + 1, false);
    used_[0] = used_[1] = true;
    if (Walk(meta_.free, Kind::kFree) && Walk(meta_.main, Kind::kMain)) CheckFree();
    return Verdict();
  }

 private:
  enum class Kind : std::uint8_t { kFree, kMain, kTable };
  using Bytes = std::vector<std::byte>;

  struct Counts {
    std::uint64_t branches = 0;
    std::uint64_t leaves = 0;
    std::uint64_t overflows = 0;
    std::uint64_t entries = 0;
  };

  Result<void> Verdict() const {
    if (!error_) return {};
    return std::unexpected(*error_);
  }
  bool Bad(std::string what) {
    if (!error_) error_ = Error{Errc::kCorrupt, std::move(what)};
    return false;
  }

  bool Read(std::uint64_t offset, std::span<std::byte> out) {
    for (std::size_t done = 0; done < out.size();) {
      const ssize_t n =
          ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        error_ = FailErrno(errno, "read data.mdb").error();
        return false;
      }
      if (n == 0) return Bad("data.mdb is cut short");
      done += static_cast<std::size_t>(n);
    }
    return true;
  }

  bool ReadMeta() {
    struct stat info{};
    if (::fstat(fd_, &info) != 0) {
      error_ = FailErrno(errno, "stat data.mdb").error();
      return false;
    }
    Bytes head(sizeof(PageHeader) + sizeof(Meta));
    for (std::uint64_t i = 0; i < 2; ++i) {
      if (!Read(i * page_size_, head)) return false;
      const auto header = Load<PageHeader>(head, 0);
      const auto meta = Load<Meta>(head, sizeof(PageHeader));
      if (header.flags != kMeta || meta.magic != kMagic || meta.version != 1) {
        return Bad(fmt::format("page {} is no head of an LMDB file", i));
      }
      if (i == 0) {
        page_size_ = meta.free.page_size;
        if (!std::has_single_bit(page_size_) || page_size_ < 512 || page_size_ > 65536) {
          return Bad(fmt::format("pages of {} bytes", page_size_));
        }
      }
      if (meta.free.page_size != page_size_) return Bad("two sizes of pages");
      if (i == 0 || meta.txn > meta_.txn) meta_ = meta;
    }
    const auto size = static_cast<std::uint64_t>(info.st_size);
    if (meta_.last_page < 1 || meta_.last_page >= (std::uint64_t{1} << 40)) {
      return Bad(fmt::format("last page {}", meta_.last_page));
    }
    if (meta_.last_page > 1 && size < (meta_.last_page + 1) * page_size_) {
      return Bad("data.mdb is cut short");
    }
    if (meta_.map_size < (meta_.last_page + 1) * page_size_) return Bad("the map is too small");
    return true;
  }

  /// Notes that pages [first, first + count) are in use, by one only.
  bool Use(std::uint64_t first, std::uint64_t count) {
    if (first < 2 || first > meta_.last_page || count > meta_.last_page + 1 - first) {
      return Bad(fmt::format("page {} does not exist", first));
    }
    for (std::uint64_t i = first; i < first + count; ++i) {
      if (used_[i]) return Bad(fmt::format("page {} is used twice", i));
      used_[i] = true;
    }
    return true;
  }

  bool Walk(const Tree& tree, Kind kind) {
    if (tree.root == kNoPage) {
      return (tree.entries == 0 && tree.depth == 0) || Bad("entries without a tree");
    }
    if (tree.depth == 0 || tree.depth > kMostDepth) return Bad("a tree too deep");
    Counts counts;
    if (!WalkPage(tree.root, tree.depth, kind, counts)) return false;
    const bool fit = counts.branches == tree.branch_pages && counts.leaves == tree.leaf_pages &&
                     counts.overflows == tree.overflow_pages && counts.entries == tree.entries;
    return fit || Bad("a tree's counts do not fit");
  }

  /// `levels`: pages from this one down to a leaf.
  bool WalkPage(std::uint64_t number, unsigned levels, Kind kind, Counts& counts) {
    if (!Use(number, 1)) return false;
    Bytes page(page_size_);
    if (!Read(number * page_size_, page)) return false;
    const auto header = Load<PageHeader>(page, 0);
    const std::uint16_t wanted = levels > 1 ? kBranch : kLeaf;
    const auto wrong = [&](std::string_view what) {
      return Bad(fmt::format("page {}: {}", number, what));
    };
    if (header.number != number || header.flags != wanted) return wrong("is another");
    if (header.lower < sizeof(PageHeader) || header.lower > header.upper ||
        header.upper > page_size_ || header.lower % 2 != 0) {
      return wrong("its bounds");
    }
    const std::size_t nodes = (header.lower - sizeof(PageHeader)) / 2;
    if (nodes < (wanted == kBranch ? 2u : 1u)) return wrong("too few nodes");
    (wanted == kBranch ? counts.branches : counts.leaves) += 1;
    std::size_t taken = 0;
    std::string_view before;
    for (std::size_t i = 0; i < nodes; ++i) {
      const std::size_t at = Load<std::uint16_t>(page, sizeof(PageHeader) + 2 * i);
      if (at < header.upper || at + sizeof(Node) > page_size_) return wrong("a node outside");
      const auto node = Load<Node>(page, at);
      const std::size_t data = at + sizeof(Node) + node.key_size;
      const std::size_t size = wanted == kBranch ? 0
                               : (node.flags & kBigData) != 0
                                   ? sizeof(std::uint64_t)
                                   : node.low | std::size_t{node.high} << 16;
      if (data + size > page_size_) return wrong("a node too long");
      taken += (data + size - at + 1) & ~std::size_t{1};
      const std::string_view key(reinterpret_cast<const char*>(page.data()) + at + sizeof(Node),
                                 node.key_size);
      // The first key of a branch is not looked at.
      const std::size_t first = wanted == kBranch ? 1 : 0;
      if (i > first && !Ascends(before, key, kind)) return wrong("keys out of order");
      before = key;
      if (wanted == kBranch) {
        const std::uint64_t child =
            node.low | std::uint64_t{node.high} << 16 | std::uint64_t{node.flags} << 32;
        if (!WalkPage(child, levels - 1, kind, counts)) return false;
      } else if (!Leaf(page, node, data, size, kind, counts)) {
        return false;
      }
    }
    return taken == page_size_ - header.upper || wrong("nodes that overlap");
  }

  static bool Ascends(std::string_view a, std::string_view b, Kind kind) {
    if (kind != Kind::kFree) return a < b;
    if (a.size() != 8 || b.size() != 8) return false;
    const auto number = [](std::string_view key) {
      return Load<std::uint64_t>(std::as_bytes(std::span(key)), 0);
    };
    return number(a) < number(b);
  }

  bool Leaf(const Bytes& page, const Node& node, std::size_t data, std::size_t size, Kind kind,
            Counts& counts) {
    ++counts.entries;
    const bool sub = (node.flags & kSubTree) != 0;
    if ((node.flags & ~(kBigData | kSubTree)) != 0 || sub != (kind == Kind::kMain)) {
      return Bad("a node of another kind");
    }
    if (sub) {
      if (size != sizeof(Tree)) return Bad("a table of another size");
      return Walk(Load<Tree>(page, data), Kind::kTable);
    }
    Bytes value(page.begin() + static_cast<std::ptrdiff_t>(data),
                page.begin() + static_cast<std::ptrdiff_t>(data + size));
    if ((node.flags & kBigData) != 0) {
      const auto first = Load<std::uint64_t>(value, 0);
      const std::size_t length = node.low | std::size_t{node.high} << 16;
      if (!Overflow(first, length, counts)) return false;
      if (kind != Kind::kFree) return true;
      value.resize(length);
      if (!Read(first * page_size_ + sizeof(PageHeader), value)) return false;
    }
    return kind != Kind::kFree || NoteFree(value);
  }

  bool Overflow(std::uint64_t first, std::size_t length, Counts& counts) {
    if (first < 2 || first > meta_.last_page) return Bad("an overflow page outside");
    Bytes head(sizeof(PageHeader));
    if (!Read(first * page_size_, head)) return false;
    const auto header = Load<PageHeader>(head, 0);
    const std::uint64_t pages = header.lower | std::uint64_t{header.upper} << 16;
    const std::uint64_t needed = (sizeof(PageHeader) - 1 + length) / page_size_ + 1;
    if (header.number != first || header.flags != kOverflow || pages < needed) {
      return Bad(fmt::format("overflow page {} is another", first));
    }
    counts.overflows += pages;
    return Use(first, pages);
  }

  bool NoteFree(const Bytes& list) {
    if (list.size() < 8 || list.size() % 8 != 0) return Bad("a list of free pages cut short");
    const auto count = Load<std::uint64_t>(list, 0);
    if (count > list.size() / 8 - 1) return Bad("a list of free pages too long");
    for (std::uint64_t i = 1; i <= count; ++i) free_.push_back(Load<std::uint64_t>(list, 8 * i));
    return true;
  }

  bool CheckFree() {
    for (const std::uint64_t page : free_) {
      if (!Use(page, 1)) return false;
    }
    return true;
  }

  const int fd_;
  std::uint64_t page_size_ = 4096;
  Meta meta_{};
  std::vector<bool> used_;
  std::vector<std::uint64_t> free_;
  std::optional<Error> error_;
};

}  // namespace

Result<void> CheckLmdbFile(const std::filesystem::path& file) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return FailErrno(errno, fmt::format("open {}", file.string()));
  return Checker(fd.get()).Run();
}

}  // namespace modelfs::index
