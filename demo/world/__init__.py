"""A small rendered world seen by surveillance cameras: the project's own demonstration videos.

    cameras.py        what a camera sees: geometry, lanes, light, clock style
    painter.py, backgrounds.py   the empty scenes, painted once per camera
    drawing.py, poses.py, people.py, vehicles.py   a canvas; a skeleton and its gaits; clothes; cars, vans and cyclists
    sprites.py        drawings made ready for YUV frames, and kept
    effects.py        exhaust, smoke, dust, splashes, leaves, debris, birds
    actors.py, world.py   who moves, and all that is there in one video
    behaviour.py, traffic.py, traces.py   what people do by themselves, who comes next, what movement leaves behind
    simulation.py     one frame further
    events.py, people_events.py, road_events.py, lookalikes.py   anomalies, and normal events that resemble them
    render.py, clock.py, encode.py   frames, the burnt-in clock, H.264
    plan.py, ground_truth.py, build.py   which video shows what, the truth in three forms, all of it in parallel

Everything is a pure function of (seed, camera, video): the same seed gives the same frames.
"""
