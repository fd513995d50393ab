// A simple tracker: a Kalman filter on each centre, nearest detections, and tracks that begin when
// their scores are on average at the operating point. The one of stdet also learns what clutter
// looks like, follows dim targets along the residual and smooths in hindsight.
#pragma once
#include "detector.hpp"

namespace stdet {
class Tracker {
  static constexpr double kMeasurement = 0.25, kAcceleration = 0.1, kSpeed = 25;
  static constexpr double kGateStd = 5, kWeakShare = 0.2, kLevelGain = 0.12, kMostOdds = 4;
  static constexpr int kHits = 4, kMaxMisses = 4, kMaxLost = 20, kMaxBridged = 5;

  struct Track {
    Point2d place, velocity;                     // Pixels, pixels per frame,
    double p = kMeasurement, c = 0, u = kSpeed;  // and their covariance along either axis.
    double level = -1;  // Mean log-odds of scores relative to the operating point.
    int age = 0, hits = 0, misses = 0, id = 0;
    std::map<int, Detection> rows = {};  // By frame, until it is confirmed.
  };

 public:
  explicit Tracker(double confidence) : confidence_(confidence) {}

  // Boxes by frame and id, both from 1. A track is there from its first detection on.
  const std::map<std::pair<int, int>, Detection>& rows() const { return rows_; }

  void push(const DetectedFrame& found) {
    ++frame_;
    for (Track& track : tracks_) predict(track, found.from_previous);
    Detections seen = found.detections;
    while (!seen.empty() && seen.back().score < kWeakShare * confidence_) seen.pop_back();
    std::vector<std::tuple<double, size_t, size_t>> pairs;  // Distance, track, detection.
    for (size_t row = 0; row < seen.size(); ++row)
      for (size_t at = 0; at < tracks_.size(); ++at) {
        const double reach = kGateStd * std::sqrt(tracks_[at].p + kMeasurement);
        const double apart = cv::norm(seen[row].centre() - tracks_[at].place) / reach;
        if (apart <= 1) pairs.push_back({apart - (tracks_[at].id > 0), at, row});
      }
    std::sort(pairs.begin(), pairs.end());  // The nearest first, and confirmed tracks before.
    std::vector<char> is_hit(tracks_.size(), 0), is_taken(seen.size(), 0);
    for (const auto& [apart, at, row] : pairs)
      if (!is_hit[at] && !is_taken[row])
        is_hit[at] = is_taken[row] = 1, hit(tracks_[at], seen[row]);
    for (size_t at = 0; at < is_hit.size(); ++at)
      if (!is_hit[at]) ++tracks_[at].misses, raise(tracks_[at], std::min(-0.5, tracks_[at].level));
    for (size_t row = 0; row < seen.size(); ++row)
      if (!is_taken[row]) hit(tracks_.emplace_back(Track{seen[row].centre(), {}}), seen[row]);
    const auto is_over = [](const Track& t) { return t.misses > (t.id ? kMaxLost : kMaxMisses); };
    tracks_.erase(std::remove_if(tracks_.begin(), tracks_.end(), is_over), tracks_.end());
    for (Track& track : tracks_) {
      ++track.age;
      if (!track.id && track.hits >= kHits && track.level >= 0) track.id = ++num_confirmed_;
      if (!track.id) continue;
      for (const auto& [frame, box] : track.rows) rows_[{frame, track.id}] = box;
      track.rows.erase(track.rows.begin(), --track.rows.end());  // A gap is bridged from the last.
    }
  }

 private:
  static void raise(Track& track, double odds) {
    track.level += std::max(kLevelGain, 1.0 / (track.age + 3)) * (odds - track.level);
  }

  static void predict(Track& track, const std::optional<Matx33d>& motion) {
    const Point2d from = track.place;
    track.place += track.velocity;
    if (motion) {  // The camera moves every target in the picture.
      track.place = moved(*motion, track.place);
      track.velocity = track.place - moved(*motion, from);
    }
    track.p += 2 * track.c + track.u + kAcceleration / 4;
    track.c += track.u + kAcceleration / 2;
    track.u += kAcceleration;
  }

  void hit(Track& track, const Detection& found) {
    const Point2d apart = found.centre() - track.place;
    const double power = track.p + kMeasurement, gain = track.p / power, turn = track.c / power;
    track.place += gain * apart, track.velocity += turn * apart;
    track.u -= turn * track.c, track.p -= gain * track.p, track.c -= gain * track.c;
    const auto odds = std::log(found.score / (1 - found.score) * (1 - confidence_) / confidence_);
    raise(track, std::clamp(odds, -kMostOdds, kMostOdds));
    const int gap = track.misses <= kMaxBridged ? track.misses : 0;
    for (int left = gap; left > 0; --left) {  // Boxes on the line between detections.
      const auto [box, score, scale] = track.rows.rbegin()->second;
      const cv::Point2f by = (found.box.tl() - box.tl()) / float(left + 1);
      const cv::Size2f larger = (found.box.size() - box.size()) / float(left + 1);
      track.rows[frame_ - left] = {box + by + larger, score, scale};
    }
    track.rows[frame_] = found, track.misses = 0, ++track.hits;
  }

  double confidence_;
  std::vector<Track> tracks_;
  std::map<std::pair<int, int>, Detection> rows_;
  int frame_ = 0, num_confirmed_ = 0;
};
}  // namespace stdet
