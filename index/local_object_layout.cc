// What an object's own structure says about the bytes that its loader will want.
#include <spdlog/spdlog.h>

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "index/layout/layout_reader.h"
#include "index/local_object.h"

namespace modelfs::index {
namespace {

/// Who reads a header gets so much more of the file from a kernel that reads ahead.
constexpr std::uint64_t kHeaderSlack = 1u << 20;

}  // namespace

/// Called with the first read of a load.
void LocalObject::StartLayout(Actions& actions) {
  if (std::exchange(layout_tried_, true) || stream_only_) return;
  std::shared_ptr<LayoutReader> reader = LayoutReader::For(id_.key, id_.size_bytes);
  if (!reader) return;
  actions.Add([self = shared_from_this(), reader = std::move(reader)] {
    self->OnPlanThread([self, reader] {
      self->FollowLayout(reader, reader->Begin(), [self](std::optional<Layout> layout) {
        if (layout) self->LayoutKnown(*std::move(layout));
      });
    });
  });
}

void LocalObject::Siblings(std::move_only_function<void(std::vector<std::string>)> done) {
  std::shared_ptr<LayoutReader> reader = LayoutReader::For(id_.key, id_.size_bytes);
  OnPlanThread([self = shared_from_this(), reader, done = std::move(done)]() mutable {
    if (!reader) return done({});
    self->FollowLayout(reader, reader->Begin(),
                       [done = std::move(done)](std::optional<Layout> layout) mutable {
                         done(layout ? std::move(layout->siblings) : std::vector<std::string>());
                       });
  });
}

void LocalObject::OnPlanThread(std::move_only_function<void()> task) {
  static_cast<void>(core_->planner->Post(std::move(task)));
}

/// On the `plan` thread: headers may be long.
void LocalObject::FollowLayout(std::shared_ptr<LayoutReader> reader, LayoutStep step,
                               LayoutDone done) {
  if (auto* layout = std::get_if<Layout>(&step)) return done(std::move(*layout));
  if (const auto* doubt = std::get_if<LayoutDoubt>(&step)) {
    spdlog::debug("plan.no_layout object={} why=\"{}\"", id_.Describe(), doubt->why);
    return done(std::nullopt);
  }
  const ByteRange range = std::get<LayoutNeed>(step).range;
  auto buffer = std::make_shared<std::vector<std::byte>>(range.size());
  ReadAs(Reader::kOurselves, range.begin, *buffer,
         [self = shared_from_this(), reader = std::move(reader), buffer,
          done = std::move(done)](Result<std::size_t> n) mutable {
           const bool read = n && *n == buffer->size();
           self->OnPlanThread([self, reader, buffer, read, done = std::move(done)]() mutable {
             if (!read) return done(std::nullopt);
             self->FollowLayout(reader, reader->Feed(*buffer), std::move(done));
           });
         });
}

void LocalObject::LayoutKnown(Layout layout) {
  Actions actions;
  {
    const MutexLock lock(mutex_);
    parts_ = std::move(layout.parts);
    WishByLayout(actions);
  }
  actions.Run();
}

/// Who reads on behind the header of a model loads it: all of it is planned, in the file's order.
void LocalObject::WishByLayout(Actions& actions) {
  if (parts_.size() < 2 || layout_wished_ || !planned_.empty() || closed_ || chunks_.whole())
    return;
  if (furthest_read_ <= parts_.front().end + kHeaderSlack || outside_.expired()) return;
  layout_wished_ = true;
  WishWhole(actions);
}

}  // namespace modelfs::index
