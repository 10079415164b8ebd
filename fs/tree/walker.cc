#include "fs/tree/walker.h"

#include <fmt/format.h>

#include <atomic>
#include <utility>

namespace modelfs::fs {
namespace {

constexpr std::size_t kEntriesPerRead = 4096;
constexpr int kMostLinks = 8;

class Walker : public std::enable_shared_from_this<Walker> {
 public:
  Walker(std::shared_ptr<Tree> tree, const std::string& path, Done<std::vector<WalkedFile>> done)
      : tree_(std::move(tree)), done_(std::move(done)) {
    for (std::size_t begin = 0; begin < path.size();) {
      std::size_t end = path.find('/', begin);
      if (end == std::string::npos) end = path.size();
      const std::string component = path.substr(begin, end - begin);
      if (!component.empty() && component != ".") components_.push_back(component);
      begin = end + 1;
    }
    at_ = Node{.id = Tree::kRootId, .kind = Node::Kind::kDirectory};
  }

  /// Goes on until an answer is not at hand; that answer's completion then goes on. Whoever comes
  /// second of the call's return and the completion continues, so that the stack does not grow.
  void Run() {
    for (;;) {
      auto second = std::make_shared<std::atomic<bool>>(false);
      if (!Ask(second)) return;
      if (!second->exchange(true)) return;
    }
  }

 private:
  struct Pending {
    std::uint64_t directory;
    std::string path;
    std::uint64_t from = 0;
  };

  /// Asks the tree one question; false when there is nothing left to ask.
  bool Ask(const std::shared_ptr<std::atomic<bool>>& second) {
    auto self = shared_from_this();
    if (resolved_ < components_.size()) {
      const std::string& name = components_[resolved_];
      if (at_.kind != Node::Kind::kDirectory) {
        Finish(Fail(Errc::kNotFound, fmt::format("{}: not a directory", path_)));
        return false;
      }
      tree_->Lookup(at_.id, name, [self, second](Result<Node> node) {
        self->TakeNode(std::move(node));
        if (second->exchange(true)) self->Run();
      });
      return true;
    }
    if (!started_) Begin();
    if (failed_ || pending_.empty()) {
      if (!failed_) Finish(std::move(files_));
      return false;
    }
    tree_->Read(pending_.back().directory, pending_.back().from, kEntriesPerRead,
                [self, second](Result<std::vector<DirectoryEntry>> entries) {
                  self->TakeEntries(std::move(entries));
                  if (second->exchange(true)) self->Run();
                });
    return true;
  }

  void TakeNode(Result<Node> node) {
    const std::string& name = components_[resolved_];
    path_ += path_.empty() ? name : "/" + name;
    if (!node) {
      Error error = std::move(node.error());
      if (error.code == Errc::kNotFound) error.what = fmt::format("{}: no such file", path_);
      Finish(std::unexpected(std::move(error)));
      resolved_ = components_.size();
      return;
    }
    if (node->kind == Node::Kind::kSymlink) return Follow(*node);
    at_ = *node;
    ++resolved_;
  }

  /// Links lead to a name beside them.
  void Follow(const Node& link) {
    auto target = tree_->ReadLink(link.id);
    if (target && ++links_ > kMostLinks) target = Fail(Errc::kInvalid, path_ + ": too many links");
    if (!target) {
      Finish(std::unexpected(std::move(target.error())));
      resolved_ = components_.size();
      return;
    }
    path_.erase(path_.size() - components_[resolved_].size());
    if (path_.ends_with('/')) path_.pop_back();
    components_[resolved_] = *std::move(target);
  }

  void Begin() {
    started_ = true;
    if (failed_) return;
    if (at_.kind == Node::Kind::kDirectory) {
      pending_.push_back({at_.id, path_});
    } else if (at_.kind == Node::Kind::kFile) {
      files_.push_back({at_.id, path_, at_.size_bytes});
    }
  }

  void TakeEntries(Result<std::vector<DirectoryEntry>> entries) {
    if (!entries) {
      Finish(std::unexpected(std::move(entries.error())));
      return;
    }
    const std::string prefix =
        pending_.back().path.empty() ? std::string() : pending_.back().path + "/";
    if (entries->size() < kEntriesPerRead) {
      pending_.pop_back();
    } else {
      pending_.back().from = entries->back().next;
    }
    for (DirectoryEntry& entry : *entries) {
      if (entry.node.kind == Node::Kind::kFile) {
        files_.push_back({entry.node.id, prefix + entry.name, entry.node.size_bytes});
      } else if (entry.node.kind == Node::Kind::kDirectory) {
        pending_.push_back({entry.node.id, prefix + entry.name});
      }
    }
  }

  void Finish(Result<std::vector<WalkedFile>> result) {
    failed_ = true;
    if (auto done = std::exchange(done_, nullptr)) done(std::move(result));
  }

  const std::shared_ptr<Tree> tree_;
  Done<std::vector<WalkedFile>> done_;
  std::vector<std::string> components_;
  std::size_t resolved_ = 0;
  int links_ = 0;
  std::string path_;
  Node at_;
  bool started_ = false;
  bool failed_ = false;  ///< Or finished: nothing more is asked.
  std::vector<Pending> pending_;
  std::vector<WalkedFile> files_;
};

}  // namespace

void Walk(std::shared_ptr<Tree> tree, const std::string& path, Done<std::vector<WalkedFile>> done) {
  std::make_shared<Walker>(std::move(tree), path, std::move(done))->Run();
}

}  // namespace modelfs::fs
